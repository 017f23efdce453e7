"""How long the built-in sample competition takes to write, and how much memory: 6,000 and 300,000 rows of train.

    python -m benchmarks.speed.sample_generation [--json FILE]

Each size runs in a process of its own, since peak memory is counted for a process's whole life.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.command import exit_status, new_parser
from competition_utils.storage import write_json
from competition_utils.synthetic.competition import make_sample

SIZES = (6_000, 300_000)
RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB on Linux


def measure(rows: int) -> dict[str, float]:
    """Write one sample and give `rows` (of all files), `seconds`, `rows_per_second`, `peak_mib`."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        files = make_sample(Path(folder) / "sample", rows=rows)["files"]
        seconds = time.perf_counter() - started
    written = sum(count for name, count in files.items() if name.endswith(".txt"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT / 2**20
    return {
        "train_rows_a_task": rows,
        "rows": written,
        "seconds": round(seconds, 2),
        "rows_per_second": round(written / seconds),
        "peak_mib": round(peak),
    }


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    args = parser.parse_args()
    results = []
    print(f"{'train rows a task':>17} {'rows in all':>12} {'seconds':>8} {'rows/s':>8} {'peak MiB':>9}")
    for rows in SIZES:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            result = pool.apply(measure, (rows,))
        results.append(result)
        print("{:>17,} {:>12,} {:>8.2f} {:>8,} {:>9,}".format(*result.values()))
    if args.json:
        write_json(args.json, {"benchmark": "sample_generation", "results": results})


if __name__ == "__main__":
    sys.exit(exit_status(main))
