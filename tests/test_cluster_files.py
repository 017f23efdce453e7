"""The scripts in `configs/cluster`: they parse, and what they call is there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml

from competition_utils.cli.main import build_parser
from competition_utils.models.base import new_model
from competition_utils.paths import project_root

FOLDER = project_root() / "configs" / "cluster"
SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.sh")}
TASKS = {path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.yaml")}
SHELL = SCRIPTS | {name: task["setup"] + task["run"] for name, task in TASKS.items()}
# What the engines set for each task.
SET = {
    "SLURM_ARRAY_TASK_ID": "1",
    "SLURM_ARRAY_TASK_COUNT": "2",
    "SLURM_CPUS_PER_TASK": "1",
    "SKYPILOT_NODE_RANK": "1",
    "SKYPILOT_NUM_NODES": "2",
}
GIVEN = {"MODEL": "model", "SHARDS": "shards", "SCORES": "scores", "MATRIX": "paper"}
SBATCH = {"job-name", "array", "cpus-per-task", "mem", "time", "requeue", "output", "gres"}
SKYPILOT = {"name", "num_nodes", "workdir", "resources", "envs", "file_mounts", "setup", "run"}


def commands(text, monkeypatch):
    """The arguments of each call of the suite in a script, its variables filled in."""
    for name, value in (SET | GIVEN).items():
        monkeypatch.setenv(name, value)
    lines = [line for line in re.sub(r"\\\n\s*", " ", text).splitlines() if not line.startswith("#")]
    calls = [line.split("-m competition_utils ")[1] for line in lines if "-m competition_utils " in line]
    return [shlex.split(os.path.expandvars(call)) for call in calls]


@pytest.mark.parametrize("name", SHELL)
def test_each_script_is_bash_and_calls_a_command_that_takes_its_arguments(name, monkeypatch):
    subprocess.run(["bash", "-n"], input=SHELL[name], text=True, check=True)
    calls = commands(SHELL[name], monkeypatch)
    assert calls
    for call in calls:
        args = build_parser().parse_args(call)
        assert args.share == (1, 2)


@pytest.mark.parametrize("name", SCRIPTS)
def test_sbatch_options_are_ones_that_sbatch_has(name):
    options = re.findall(r"^#SBATCH --([a-z-]+)", SCRIPTS[name], re.MULTILINE)
    assert options
    assert set(options) <= SBATCH


@pytest.mark.parametrize("name", TASKS)
def test_a_skypilot_task_has_the_keys_of_one(name):
    assert set(TASKS[name]) <= SKYPILOT
    assert all(isinstance(TASKS[name][key], str) for key in ("setup", "run"))


def test_the_tasks_of_an_array_fill_one_folder(tmp_path):
    words = np.array(["shoe", "lamp", "ring", "drum"])
    pairs = pd.DataFrame({"task": "QI", "language": "en", "query": np.resize(words, 64), "query_en": ""})
    pairs["target"] = np.repeat(words, 16)
    pairs["label"] = (pairs["query"] == pairs["target"]).astype(int)
    model = new_model("linear", {})
    model.fit(pairs, pairs, work_dir=tmp_path, seed=0)
    model.save(tmp_path / "model")
    (tmp_path / "shards").mkdir()
    for number in range(3):
        pairs[["query", "target"]].head(2).to_parquet(tmp_path / "shards" / f"{number}.parquet")
    given = {name: str(tmp_path / GIVEN[name]) for name in ("MODEL", "SHARDS", "SCORES")}
    environment = {**os.environ, **SET, **given, "PYTHON": sys.executable, "PYTHONPATH": str(project_root())}
    for task in ("0", "1"):
        script = ["bash", str(FOLDER / "slurm_score.sh")]
        subprocess.run(script, env={**environment, "SLURM_ARRAY_TASK_ID": task}, cwd=project_root(), check=True)
    assert sorted(path.name for path in (tmp_path / "scores").glob("*.parquet")) == [f"{n}.parquet" for n in range(3)]
