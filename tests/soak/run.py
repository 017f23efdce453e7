"""`make soak`: tests over generated input, readers fuzzed, work killed, tests of faults; writes docs/RELIABILITY.md.

    python tests/soak/run.py --jobs 2
    python tests/soak/run.py kills

Prints how long each step took. Results lie in `.soak/` until the last step has written the page; kills that were tried
are not tried again, so that the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from soak.kills import NAMES, REPOSITORY, RESULTS, kept_results, tried_code
from soak.table import FAULT_TESTS, read_reports, write_page

READERS = ("json_lines", "csv", "parquet", "lexicon", "config", "strategy", "submission")
SECONDS_A_READER = 40
MOMENTS, SEED = 20, 0
TIMES = 30  # the examples of `make test`
PAGE = REPOSITORY / "docs" / "RELIABILITY.md"


def generated_input(jobs: int) -> bool:
    """Run the tests over generated input and those that take minutes."""
    return run_tests("generated", jobs, "-m", "soak or fuzz", "--timeout", "3000", FUZZ=str(TIMES))


def faults(jobs: int) -> bool:
    """Run the tests of faults, but those over generated input, which ran before."""
    return run_tests("faults", jobs, "--dist", "loadfile", "-m", "not (soak or fuzz)", *FAULT_TESTS)


def run_tests(name: str, jobs: int, *options: str, **environment: str) -> bool:
    """Run pytest with a JUnit report in the folder of the results."""
    report = ("-o", "junit_family=xunit1", f"--junitxml={RESULTS / name}.xml")
    return _ends_well([sys.executable, "-m", "pytest", "-n", str(jobs), *report, *options], **environment)


def fuzz_readers(jobs: int) -> bool:
    """Fuzz every reader for a while, `jobs` at a time, and leave the number of inputs and crashes."""
    with ThreadPoolExecutor(jobs) as pool:
        found = list(pool.map(fuzz, READERS))
    (RESULTS / "fuzzing.txt").write_text("".join(f"{name} {runs} {crash}\n" for name, runs, crash in found))
    return not any(crash for _, _, crash in found)


def fuzz(reader: str) -> tuple[str, int, int]:
    """Reader, inputs, and 1 for a crash, whose input lies in `.soak/` then."""
    options = [f"-max_total_time={SECONDS_A_READER}", "-print_final_stats=1", f"-artifact_prefix={RESULTS}/{reader}-"]
    command = [sys.executable, str(REPOSITORY / "tests" / "soak" / "fuzz_readers.py"), reader, *options]
    done = subprocess.run(command, cwd=REPOSITORY, env=_environment(), capture_output=True, text=True)
    runs = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
    return reader, int(runs[1]) if runs else 0, int(done.returncode != 0)


def kill(jobs: int) -> bool:
    """Kill everything at random moments."""
    command = [sys.executable, str(REPOSITORY / "tests" / "soak" / "kills.py"), "--jobs", str(jobs)]
    return _ends_well([*command, "--moments", str(MOMENTS), "--seed", str(SEED)], PYTHONHASHSEED="0")


def _ends_well(command: list[str], **environment: str) -> bool:
    return subprocess.run(command, cwd=REPOSITORY, env=_environment() | environment, check=False).returncode == 0


def _environment() -> dict[str, str]:
    folders = (REPOSITORY, REPOSITORY / "tests")
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders)), "OMP_NUM_THREADS": "1"}


def write_what_was_found(jobs: int) -> bool:
    """Write the page from the folder of the results, and remove that where nothing is amiss."""
    found = what_was_found()
    write_page(PAGE, found)
    crashes, failures = sum(int(each[2]) for each in found["fuzzing"]), sum(each["failed"] for each in found["tests"])
    good = not crashes + failures + sum(each.faults for each in found["kills"])
    if good:
        shutil.rmtree(RESULTS)
    return good


def what_was_found() -> dict[str, Any]:
    """What the page shows."""
    kills = [kept_results(RESULTS / f"{name}.json", tried_code(name, MOMENTS, SEED)) for name in NAMES]
    fuzzing = [line.split() for line in (RESULTS / "fuzzing.txt").read_text(encoding="utf-8").splitlines()]
    tests = read_reports(RESULTS / "faults.xml", RESULTS / "generated.xml")
    made = {"machine": machine(), "seed": SEED, "moments": MOMENTS, "fuzzing": fuzzing, "tests": tests}
    return made | {"kills": [each for of in kills for each in of]}


def machine() -> str:
    """System, architecture, processor and number of cores."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs ({model})"


STEPS: dict[str, Callable[[int], bool]] = {
    "generated": generated_input,
    "fuzzing": fuzz_readers,
    "kills": kill,
    "faults": faults,
    "page": write_what_was_found,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", default=[*STEPS], help=f"of {', '.join(STEPS)} (default: all)")
    parser.add_argument("--jobs", type=int, default=2, help="processes beside each other")
    args = parser.parse_args()
    if unknown := [name for name in args.steps if name not in STEPS]:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(STEPS)}")
    RESULTS.mkdir(exist_ok=True)
    outcomes, began = {}, time.monotonic()
    for name in args.steps:
        started = time.monotonic()
        outcomes[name] = STEPS[name](args.jobs)
        print(f"{name:<10} {(time.monotonic() - started) / 60:5.1f} minutes", flush=True)
    print(f"{'in all':<10} {(time.monotonic() - began) / 60:5.1f} minutes")
    if failed := [name for name, good in outcomes.items() if not good]:
        sys.exit(f"failed: {', '.join(failed)}; results and inputs lie in {RESULTS}")


if __name__ == "__main__":
    main()
