"""What every subcommand prints on a few hundred rows: `python tests/cli/printed_now.py` writes `cli/printed.txt` anew.

The runs are real ones of a project whose notebooks do little (tests/small_run.py), executed in this process.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from small_run import execute_here, make_small_project

from competition_utils import hosted, paths
from competition_utils.cli import main as cli
from competition_utils.cli import printed
from competition_utils.runs import runner

MOST_LINES = 14
CALL = f"$ {cli.PROGRAM} "
# In the order in which they build upon each other; sweep comes first among those that list runs.
COMMANDS = (
    "sample --out data --rows 200 --dev-rows 150 --test-rows 100",
    "check-data data",
    "run small --name first",
    "submit --run first",
    "check-submission submissions/first --source data",
    "thresholds first --task QC --resamples 20",
    "score --model papermill_runs/first/finetune/QC/fold0 --input data/test_QC.txt --output scores.csv",
    "leave-one-language-out first --task QC",
    "run small --name second -p seed=2",
    "compare first second --task QC --resamples 20",
    "sweep small --model linear --data-dir data",
    "blend first small-linear --out blended --task QC",
    "ledger",
    "export-dataset first exported",
    "push papermill_runs/first/finetune/QC/fold0 NAME/relevance-qc --dry-run",
    "kaggle --user name --data owner/official-files",
    "models",
    "schema",
)
# Subcommands that take seconds here, or rest on one that does: compared by `make soak` alone.
COSTLY = ("leave-one-language-out", "compare", "sweep", "blend")


@contextmanager
def small_project() -> Iterator[Path]:
    """A project without its data folder, which `sample` writes; the working directory meanwhile."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as place:
        root = make_small_project(Path(place).resolve())
        for path in (root / "data").iterdir():
            path.unlink()
        (root / "notebooks" / "00_start.ipynb").write_text('{"cells": []}')
        environment = {paths.ROOT_VARIABLE: str(root), hosted.ROOT_VARIABLE: str(root), "XDG_CACHE_HOME": str(root)}
        with mock.patch.dict(os.environ, environment), mock.patch.object(runner, "execute", execute_here):
            os.environ.pop(paths.WORK_VARIABLE, None)
            os.chdir(root)
            try:
                yield root
            finally:
                os.chdir(here)


def output_of(command: str, root: Path) -> str:
    """The command and what it printed, cut to a few lines, without the folder that it happened in."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(io.StringIO()):
        status = cli.main(shlex.split(command))
    if status:
        raise SystemExit(f"{command}: status {status}\n{out.getvalue()}")
    lines = [line.rstrip() for line in out.getvalue().replace(f"{root}/", "").strip("\n").split("\n")]
    lines = [line if len(line) <= 110 else f"{line[:109]}…" for line in lines]
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], f"… ({len(lines) - MOST_LINES + 1:,} lines more)"]
    return "\n".join([CALL + command, *lines])


def all_outputs(costly: bool = True) -> dict[str, str]:
    """Subcommand → what it printed at its first call in COMMANDS, by name; without the costly ones unless wanted."""
    found: dict[str, str] = {}
    with small_project() as root:
        for command in COMMANDS:
            name = command.split()[0]
            if costly or (name not in COSTLY and "second" not in command):
                text = output_of(command, root)
                found.setdefault(name, text)
    return dict(sorted(found.items()))


def shape(text: str) -> list[str]:
    """What two calls have in common: words and their order, not numbers, hashes, rules and what a line was cut in."""
    return re.sub(r"\S*…|\b[0-9a-f]{8}\b|[\d.,:%+−–─━-]+", " ", text).split()


if __name__ == "__main__":
    printed.FILE.write_text(printed.render(all_outputs()), encoding="utf-8")
