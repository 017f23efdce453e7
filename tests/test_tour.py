"""Every block of docs/TOUR.md, in its order: files are written, Python is executed, commands run, and what a block
printed is what the page shows below it."""

from __future__ import annotations

import io
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

from competition_utils import paths
from competition_utils.cli import main as cli
from competition_utils.data.prepare import prepare
from competition_utils.models.base import OWN
from competition_utils.runs import runner
from competition_utils.runs.parameters import read_notebook
from competition_utils.runs.stage import open_stage
from competition_utils.storage import read_json, read_parquet, write_json
from competition_utils.synthetic.competition import make_sample
from competition_utils.tasks import QC

REPOSITORY = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = "python -m competition_utils "
LONGEST = 12  # lines of a block that are neither blank nor an import


class Block(NamedTuple):
    section: str
    language: str
    file: str
    text: str

    @property
    def id(self) -> str:
        return f"{self.section.lower().replace(' ', '_')}-{self.file or self.language}"


def blocks() -> list[Block]:
    page = (REPOSITORY / "docs" / "TOUR.md").read_text(encoding="utf-8")
    sections = (section.partition("\n") for section in page.split("\n## ")[1:])
    return [Block(title, *match.groups("")) for title, _, text in sections for match in BLOCK.finditer(text)]


def execute_cells(stage: str, run: Path, parameters: dict[str, Any], expected: float | None = None) -> None:
    """`kernel.execute` in this process; stage eda without its figures, which are most of its time."""
    names: dict[str, Any] = {"display": lambda *_: None}
    if stage == "eda":
        opened = open_stage(stage, run, parameters)
        prepare(opened.data_folder(parameters["data_dir"]), [QC]).write(opened.write)
        opened.finish({})
    else:
        for cell in read_notebook(paths.notebook_path(stage)):
            if cell["cell_type"] == "code":
                exec("".join(cell["source"]), names)
                if "parameters" in cell["metadata"].get("tags", []):
                    names |= parameters
    write_json(run / paths.notebook_name(stage), {"cells": []})


@pytest.fixture(scope="module")
def walked(tmp_path_factory) -> Iterator[tuple[Path, dict[str, str]]]:
    """The project after the tour, and what each block printed, by id."""
    root, printed = tmp_path_factory.mktemp("project"), {}
    for name in ("notebooks", "configs"):
        shutil.copytree(REPOSITORY / name, root / name)
    make_sample(root / "made", rows=200, dev_rows=100, test_rows=100)
    made = [pd.read_json(root / "made" / QC.file_name(split), lines=True) for split in ("train", "dev", "test")]
    names = {"origin_query": "search", "category_path": "shelf", "language": "country", "label": "clicked"}
    clicks = pd.concat(made).fillna({"label": 0}).astype({"label": int}).rename(columns=names)
    clicks[list(names.values())].to_csv(root / "clicks.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(paths.ROOT_VARIABLE, str(root))
        patch.delenv(paths.WORK_VARIABLE, raising=False)
        patch.setattr(runner, "execute", execute_cells)
        patch.setattr(sys, "path", list(sys.path))
        patch.chdir(root)
        for block in blocks():
            printed[block.id] = printed.get(block.id, "") + walk(block, root)
        yield root, printed
    for module in [name for name in sys.modules if name.startswith("shop_")]:
        del sys.modules[module]
    OWN.clear()


def walk(block: Block, root: Path) -> str:
    """Do what a block is for; what it printed."""
    if block.file:
        (root / block.file).write_text(block.text, encoding="utf-8")
        return ""
    out = io.StringIO()
    with redirect_stdout(out):
        if block.language == "python":
            exec(compile(block.text, block.id, "exec"), {})
        elif block.language == "bash":
            for line in block.text.splitlines():
                assert line.startswith(COMMAND) and cli.main(shlex.split(line.removeprefix(COMMAND))) == 0, line
    return out.getvalue()


@pytest.mark.parametrize(
    "block", [block for block in blocks() if block.language == "text"], ids=lambda one: one.section
)
def test_a_block_prints_what_the_page_shows(walked, block):
    assert walked[1][block._replace(language="python").id] == block.text


@pytest.mark.parametrize("block", blocks(), ids=lambda one: one.id)
def test_a_block_is_about_ten_lines(block):
    lines = [line for line in block.text.splitlines() if line.strip() and not line.startswith(("import", "from"))]
    assert len(lines) <= LONGEST


def test_the_run_used_all_five(walked):
    run = walked[0] / "papermill_runs" / "shop"
    entry = read_json(run / "metrics.json")["tasks"]["QC"]
    assert entry["own_metrics"] == ["net_gain"] and all("net_gain" in one for one in entry["by_language"].values())
    assert "net gain" in (run / "report.html").read_text(encoding="utf-8")
    assert read_json(run / "finetune" / "QC" / "fold0" / "model.json")["kind"] == "python:shop_model:SharedLetters"
    train = read_parquet(run / "augmentation" / "QC_train.parquet")
    assert len(train) < 200 or train["weight"].nunique() > 1
    assert len(pd.read_csv(walked[0] / "scores.csv")) == 100


def test_a_change_of_own_code_or_strategy_makes_the_stages_stale_that_name_it(walked, capsys):
    root, _ = walked
    with (root / "shop_metric.py").open("a", encoding="utf-8") as stream:
        stream.write("# changed\n")
    assert cli.main(["run", "shop.yaml", "--name", "shop", "--resume"]) == 0
    shown = capsys.readouterr().out
    assert "finetune          done before" in shown
    assert "threshold_tuning  run again: its input shop_metric.py changed" in shown
    with (root / "shop_strategy.yaml").open("a", encoding="utf-8") as stream:
        stream.write("# changed\n")
    assert cli.main(["run", "shop.yaml", "--name", "shop", "--resume", "--to", "augmentation"]) == 0
    assert "augmentation      run again: its input shop_strategy.yaml changed" in capsys.readouterr().out
