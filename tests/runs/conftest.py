"""What the tests of runs share."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_run import execute_here

from competition_utils.runs import runner


@pytest.fixture
def executed(project: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stages that were executed, as RUN/stage; each in this process."""
    seen: list[str] = []

    def execute(name, run, *more):
        seen.append(f"{run.name}/{name}")
        execute_here(name, run, *more)

    monkeypatch.setattr(runner, "execute", execute)
    return seen
