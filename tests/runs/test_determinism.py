"""The same seed on the same machine gives the same bytes; with another number of threads, the same decisions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from small_run import contents, execute_here

from competition_utils import paths
from competition_utils.cli import main as cli
from competition_utils.runs import runner

pytestmark = pytest.mark.slow
TESTS = Path(__file__).resolve().parents[1]
FITS = ("fit of linear", "fit of an encoder", "fit of a decoder")
TOLERANCE = 1e-4  # of a score, between numbers of threads


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of each fit: with `one` thread, `again`, and with `two`."""
    folder = tmp_path_factory.mktemp("fits")
    importable = os.pathsep.join(map(str, (TESTS.parent, TESTS)))
    environment = {**os.environ, "PYTHONPATH": importable, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "2"}
    command = [sys.executable, TESTS / "soak" / "fit_with_threads.py", folder]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("fit", FITS)
def test_the_same_seed_gives_the_same_bytes(fit, fitted):
    assert contents(fitted / fit / "one" / "out") == contents(fitted / fit / "again" / "out")


@pytest.mark.parametrize("fit", FITS)
def test_another_number_of_threads_gives_the_same_decisions(fit, fitted):
    one, two = (np.load(fitted / fit / name / "out" / "scores.npy") for name in ("one", "two"))
    np.testing.assert_allclose(two, one, atol=TOLERANCE, rtol=0)
    undecided = np.abs(one - np.median(one)) <= TOLERANCE
    assert ((one > np.median(one)) == (two > np.median(one)))[~undecided].all()


def test_run_yaml_says_what_is_not_deterministic(project, monkeypatch):
    monkeypatch.setattr(runner, "execute", execute_here)
    assert cli.main(["run", "small"]) == 0
    said = yaml.safe_load((paths.run_folder("small") / "run.yaml").read_text())["not_deterministic"]
    assert [entry.split(":")[0].split(" of ")[0] for entry in said] == ["times", "last digits"]


def test_no_file_of_a_run_holds_a_token_of_the_environment(project, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_neverWriteThisDown")
    monkeypatch.setattr(runner, "execute", execute_here)
    assert cli.main(["run", "small"]) == 0
    files = [path for path in paths.project_root().rglob("*") if path.is_file()]
    assert len(files) > 30
    assert not [path for path in files if b"hf_neverWriteThisDown" in path.read_bytes()]
