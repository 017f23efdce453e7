"""A project whose five notebooks make the real files of a small linear run, and a way to run them in this process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conftest import write_notebook

from competition_utils import paths
from competition_utils.runs.parameters import read_notebook
from competition_utils.storage import write_text
from competition_utils.synthetic.competition import make_sample

# Each notebook copies what an earlier run of it left in `frozen/`, where there is such: resuming takes no time then.
OPEN = """\
import pandas as pd, pathlib, shutil
from competition_utils.runs.stage import open_stage
from competition_utils.storage import write_json
stage = open_stage({stage!r}, run_dir, globals())
NAMES = [f"{{task}}_{{split}}" for task in ("QC", "QI") for split in ("train", "dev", "test")]
frozen = stage.run.parents[1] / "frozen" / stage.name
"""
READS = {
    "eda": 'data = stage.data_folder("data")',
    "augmentation": 'clean = {name: stage.read(name, of="eda") for name in NAMES}',
    "finetune": 'tables = {name: stage.read(name, of="augmentation") for name in NAMES}',
    "threshold_tuning": "from competition_utils.decide.decisions import decide, read_scores\n"
    'scores = {task: read_scores(task, stage.read) for task in ("QC", "QI")}',
    "submission": 'read = {task: f"{task}_decisions" for task in ("QC", "QI")}\n'
    'decisions = {task: stage.read(name, of="threshold_tuning") for task, name in read.items()}\n'
    'data = stage.data_folder("data")',
}
MAKES = {
    "eda": """\
from competition_utils.data.prepare import prepare
from competition_utils.tasks import TASKS
prepare(data, TASKS.values(), n_folds=2, seed=seed).write(stage.write)
""",
    "augmentation": """\
from competition_utils.augment.build import augment_tasks
from competition_utils.augment.strategies import load_strategy
from competition_utils.tasks import TASKS
given = {tuple(name.split("_")): table for name, table in clean.items()}
made = augment_tasks(given, list(TASKS.values()), load_strategy(strategy), None)
for task, augmented in made.items():
    for split, table in augmented.tables.items():
        stage.write(f"{task}_{split}", table)
""",
    "finetune": """\
import numpy as np
from competition_utils.models.base import load_model, new_model
for task in ("QC", "QI"):
    train, folder = tables[f"{task}_train"], stage.path(f"{task}/fold0/model.json").parent
    fitted = new_model("linear", {"max_iter": 3})
    held = train["fold"] == 0
    report = fitted.fit(train[~held], train[held], work_dir=stage.work_folder(task), seed=seed)
    fitted.save(folder)
    write_json(folder / "fit.json", {"seed": report.seed, "history": report.history})
    fitted, parts = load_model(folder), []
    for split, table in (("valid", train), ("dev", tables[f"{task}_dev"]), ("test", tables[f"{task}_test"])):
        fold = table["fold"] if split == "valid" else -1
        made = table[["id", "task", "language"]].assign(score=fitted.score(table).astype(np.float32))
        parts.append(made.assign(fold=fold, split=split))
    stage.write(f"{task}_scores", pd.concat(parts, ignore_index=True))
""",
    "threshold_tuning": """\
made = {task: decide(given, resamples=20, seed=seed) for task, given in scores.items()}
for task, one in made.items():
    stage.write(f"{task}_decisions", one.decisions)
stage.save_json("rules", {task: one.rule.as_dict() for task, one in made.items()})
write_json(stage.path("figures.json"), {task: one.metrics for task, one in made.items()})
""",
    "submission": """\
from competition_utils.submit import source_file, write_submission
from competition_utils.tasks import TASKS
sources = {task: source_file(TASKS[task], data, submit_split) for task in decisions}
answers = {task: table[table["split"] == submit_split] for task, table in decisions.items()}
write_submission(stage.folder, answers, sources)
""",
}
METRICS = {
    "threshold_tuning": "import json\n"
    'figures = json.loads((stage.folder / "figures.json").read_text())\n'
    'stage.finish({"tasks": figures, "f1_mean": sum(each["f1"] for each in figures.values()) / 2})',
}
PARAMETERS = {
    "eda": "seed = 0  # for every random choice\n",
    "augmentation": 'strategy = "original"  # a name in configs/strategies\n',
    "finetune": 'seed = 0  # for every random choice\nmodel = "linear"  # the way of fitting\n',
    "threshold_tuning": "seed = 0  # for every random choice\n",
    "submission": 'data_dir = "data"  # official files\ntask = "all"  # QC, QI or all\n'
    'submit_split = "test"  # dev or test\n',
}
STRATEGIES = ("original", "balanced")  # with the same rows before, and others after
CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "strategies"
ROWS = 100  # of a task and split: the fewest that a sample may have
# Files that hold times; what they say besides is compared apart from these.
TIMES = (".executed.json", "manifest.json", "report.html", "metrics.json")


def make_small_project(root: Path) -> Path:
    """Notebooks, data and the config `small` in `root`."""
    for stage in paths.STAGES:
        make = "    ".join(MAKES[stage].splitlines(keepends=True))
        work = f"if frozen.is_dir():\n    shutil.copytree(frozen, stage.folder, dirs_exist_ok=True)\nelse:\n    {make}"
        cells = [OPEN.format(stage=stage), READS[stage], work, METRICS.get(stage, "stage.finish({})")]
        write_notebook(root / "notebooks" / paths.notebook_name(stage), *cells, parameters=PARAMETERS[stage])
    make_sample(root / "data", rows=ROWS, dev_rows=ROWS, test_rows=ROWS)
    for strategy in STRATEGIES:
        write_text(root / "configs" / "strategies" / f"{strategy}.yaml", (CONFIGS / f"{strategy}.yaml").read_text())
    (root / "configs" / "small.yaml").write_text("data_dir: data\nseed: 1\n")
    return root


def execute_here(stage: str, run: Path, parameters: Mapping[str, Any], expected: float | None = None) -> None:
    """`kernel.execute` without a kernel: the cells one after the other in this process."""
    names: dict[str, Any] = {}
    for cell in read_notebook(paths.notebook_path(stage)):
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
            if "parameters" in cell["metadata"]["tags"]:
                names |= parameters
    text = json.dumps({"executed": stage, "parameters": dict(parameters)})
    (run / paths.notebook_name(stage)).write_text(text, encoding="utf-8")


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of all visible files below a folder but those that hold times."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in TIMES)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files if path.name[0] != "."}
