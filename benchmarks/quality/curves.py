"""Rows of training against F1, for each kind of model: a run a point, then one figure.

    python -m benchmarks.quality.curves --data-dir ../shared/data/taxobench --rows 2000 6000 20000
    python -m benchmarks.quality.curves --data-dir DIR --model linear encoder --output quick.png
    python -m benchmarks.quality.curves --data-dir DIR --model decoder -p task=QC --with quick.json

Runs are named curve-MODEL-ROWS; those that are there are resumed, so a second call only draws. `--with` draws the
figures of earlier calls too. F1 is measured on the labelled rows of dev, at the threshold of the validation rows, with
95% bootstrap intervals over queries.
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import pandas as pd

from benchmarks.command import exit_status, new_parser
from competition_utils.errors import UserError
from competition_utils.paths import run_folder
from competition_utils.plots.comparing import f1_by_rows
from competition_utils.runs.config import load_config
from competition_utils.runs.runner import Run, execute_run
from competition_utils.storage import read_json, write_json

CONFIGS = {"linear": "encoder_cpu", "encoder": "encoder_cpu", "decoder": "gemma3_270m_cpu"}


def plan(models: list[str], sizes: list[int], overrides: list[str], data_dir: str) -> dict[tuple[str, int], Run]:
    """A run for each kind of model and number of rows of a task."""
    return {
        (model, rows): Run(
            f"curve-{model}-{rows}",
            load_config(CONFIGS[model], [*overrides, f"model={model}", f"train_rows={rows}"], data_dir),
        )
        for rows, model in product(sorted(sizes), models)
    }


def points(runs: dict[tuple[str, int], Run]) -> pd.DataFrame:
    """`model, rows, task, f1, low, high, auc, all_positive_f1, seconds`, a row a run and task."""
    rows = []
    for (model, size), run in runs.items():
        metrics = read_json(run_folder(run.name) / "metrics.json")
        for task, entry in metrics["tasks"].items():
            low, high = entry["f1_interval"]
            figures = {"f1": entry["f1"], "low": low, "high": high, "auc": entry["auc"]}
            more = {"all_positive_f1": entry["all_positive_f1"], "seconds": sum(metrics["seconds"].values())}
            rows.append({"model": model, "rows": size, "task": task, **figures, **more})
    return pd.DataFrame(rows)


def earlier_points(path: Path) -> pd.DataFrame:
    """What an earlier call wrote beside its figure."""
    if not path.is_file():
        raise UserError(
            f"--with: expected the JSON file of an earlier call, found no file {path}. Run that call first."
        )
    return pd.DataFrame(read_json(path))


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--rows", type=int, nargs="+", default=[2000, 6000, 20000], help="of each task")
    parser.add_argument("--model", nargs="+", choices=list(CONFIGS), default=list(CONFIGS))
    parser.add_argument("-p", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--with", dest="others", type=Path, nargs="+", default=[], help="JSON files of earlier calls")
    parser.add_argument("--output", type=Path, default=Path("curves.png"), help="the figure; figures as JSON beside it")
    args = parser.parse_args()
    earlier = [earlier_points(other) for other in args.others]
    runs = plan(args.model, args.rows, args.overrides, args.data_dir)
    for run in runs.values():
        print(f"\n{run.name}")
        execute_run(run, resume=run.folder.exists(), first=None, last=None)
    table = pd.concat([*earlier, points(runs)], ignore_index=True).sort_values(["model", "task", "rows"])
    print(table.round(4).to_string(index=False))
    f1_by_rows(table).savefig(args.output)
    write_json(args.output.with_suffix(".json"), table.to_dict("records"))


if __name__ == "__main__":
    sys.exit(exit_status(main))
