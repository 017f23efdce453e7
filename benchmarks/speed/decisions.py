"""How long decisions take, the median of five runs.

python -m benchmarks.speed.decisions --rows 1000000 --json decisions.json
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.command import exit_status, new_parser
from competition_utils.decide.metrics import counts, evaluate
from competition_utils.decide.resample import query_groups, resampled_sums
from competition_utils.decide.selection import choose_rule
from competition_utils.decide.thresholds import best_threshold
from competition_utils.storage import write_json

LANGUAGES = ("en", "es", "fr", "ja", "ko", "pt", "ar", "de", "it", "pl")


def made_up_decisions(rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    labels = (rng.random(rows) < 0.69).astype(np.int64)
    scores = (1 / (1 + np.exp(-rng.normal(1.5 * labels, 1.0)))).astype(np.float32)
    table = pd.DataFrame({"language": rng.choice(LANGUAGES, rows), "label": labels, "score": scores})
    table["query"] = pd.Series(rng.integers(0, rows // 4, rows)).astype(str)
    return table.assign(threshold=0.5, prediction=(scores >= 0.5).astype(np.int64))


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(rows: int) -> dict[str, float]:
    million, table = made_up_decisions(1_000_000), made_up_decisions(rows)
    labels, scores = million["label"].to_numpy(), million["score"].to_numpy()
    votes, groups = (
        counts(table["label"].to_numpy(), table["prediction"].to_numpy()),
        query_groups(table["query"]),
    )
    known = [table[name].to_numpy() for name in ("label", "score", "language")]
    return {
        "best_threshold, 1,000,000 scores": seconds(lambda: best_threshold(labels, scores)),
        f"1,000 resamples by query, {rows:,} rows": seconds(lambda: resampled_sums(votes, groups)),
        f"choose_rule, nested, {rows:,} rows": seconds(lambda: choose_rule(*known, groups), repeats=1),
        f"evaluate with intervals, {rows:,} rows": seconds(lambda: evaluate(table), repeats=1),
    }


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    args = parser.parse_args()
    figures = measure(args.rows)
    print("\n".join(f"{name:<45} {value:8.3f} s" for name, value in figures.items()))
    if args.json:
        write_json(args.json, figures)


if __name__ == "__main__":
    sys.exit(exit_status(main))
