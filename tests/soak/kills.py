"""Kills work at random moments, does it again, and compares what is left with unbroken work.

    python tests/soak/kills.py --moments 20 --jobs 2
    python tests/soak/kills.py mining finetune --moments 3

Parts of the work run in forks of this process, stages and sweeps in forks of `soak.forks`. Results lie in the folder
`--results`, a file a name; those of the same code, seed and number of moments are kept: a broken series goes on.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from soak.trials import SIGNALS, SWEEP, Fork, Result, try_all
from soak.work import NETWORKS, PARTS, import_networks, prepare_inputs

from competition_utils import paths
from competition_utils.storage import hash_file, hash_json, read_json, write_json

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / ".soak"
NAMES = (SWEEP, *paths.STAGES, *PARTS)  # the longest first, so that two jobs end at about the same time
DRIVERS = ("runs", "cli")  # what no part of the work imports


def tried_code(name: str, moments: int, seed: int) -> str:
    """A hash of the package's code that is under trial."""
    package = REPOSITORY / "competition_utils"
    files = {path.relative_to(package): hash_file(path) for path in sorted(package.rglob("*.py"))}
    left_out = DRIVERS if name in PARTS else ()
    return hash_json([moments, seed, *(sha for path, sha in files.items() if path.parts[0] not in left_out)])


def kept_results(path: Path, code: str) -> list[Result]:
    """What an earlier or broken series of the same code left of a name; else a result without trials a signal."""
    kept = read_json(path) if path.is_file() else {"code": None}
    if kept["code"] == code:
        return [Result(**each) for each in kept["kills"]]
    return [Result(path.stem, number.name) for number in SIGNALS]


def kill(name: str, results: Path, moments: int, seed: int) -> list[Result]:
    """The trials of one name with each signal; those that `results` holds already are not tried again."""
    path, code = results / f"{name}.json", tried_code(name, moments, seed)
    kills = kept_results(path, code)
    with tempfile.TemporaryDirectory() as temporary:
        inputs, folder = Path(temporary) / "inputs", Path(temporary) / "trial"
        if name in NETWORKS:
            import_networks()
        if name in PARTS:
            made = Fork(lambda _, place: prepare_inputs(place, name in NETWORKS), inputs, inputs).wait()
            assert made == 0, "the inputs could not be made"
        for result in try_all(name, kills, inputs, folder, moments, seed):
            print(f"{name}, {result.signal}: {result.tried} of {moments}, faults: {result.faults}", flush=True)
            write_json(path, {"code": code, "kills": [asdict(each) for each in kills]})
    return kills


def kill_in_a_process(name: str, args: argparse.Namespace) -> list[Result]:
    """`kill` in a process of its own, since forks of a process with threads may hang."""
    path, code = args.results / f"{name}.json", tried_code(name, args.moments, args.seed)
    if any(each.wants(args.moments) for each in kept_results(path, code)):
        options = ["--moments", str(args.moments), "--seed", str(args.seed), "--results", str(args.results)]
        subprocess.run([sys.executable, __file__, *options, name], check=False)
    kills = kept_results(path, code)
    if any(each.wants(args.moments) for each in kills):
        raise SystemExit(f"{name} ended before all of its trials; the same command goes on")
    return kills


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=NAMES, metavar="NAME", help=f"of {', '.join(NAMES)} (default: all)")
    parser.add_argument("--moments", type=int, default=20, help="random moments for each name and signal")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="names under trial at the same time")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    args = parser.parse_args()
    if unknown := [name for name in args.names if name not in NAMES]:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(NAMES)}")
    if len(args.names) == 1:
        kills = kill(args.names[0], args.results, args.moments, args.seed)
    else:
        with ThreadPoolExecutor(args.jobs) as pool:
            made = [pool.submit(kill_in_a_process, name, args) for name in args.names]  # one that fails stops no other
        kills = [each for one in made for each in one.result()]
        print(pd.DataFrame(map(asdict, kills)).drop(columns="seen").round(1).to_string())
    sys.exit(any(each.faults for each in kills))


if __name__ == "__main__":
    main()
