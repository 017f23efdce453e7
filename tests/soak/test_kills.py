"""The fast part of `make soak`: work killed at one random moment, another one in every run of the tests."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_run import make_small_project
from soak.forks import Forks
from soak.trials import still_working

pytestmark = pytest.mark.slow
TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.timeout(600)
def test_work_killed_at_a_random_moment_and_done_again_ends_with_the_same_bytes(tmp_path):
    seed = random.Random().randint(0, 10**6)
    importable = os.pathsep.join(map(str, (TESTS.parent, TESTS)))
    options = ["--moments", "1", "--seed", str(seed), "--results", str(tmp_path)]
    parts = ["scoring"]
    command = [sys.executable, str(TESTS / "soak" / "kills.py"), *parts, *options]
    environment = {**os.environ, "PYTHONPATH": importable, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"seed {seed}: {done.stdout}{done.stderr}"
    for part in parts:
        kills = json.loads((tmp_path / f"{part}.json").read_text())["kills"]
        assert [(each["tried"], each["lost"]) for each in kills] == [(1, 0)] * 3


@pytest.mark.timeout(600)
def test_a_stage_killed_at_a_random_moment_leaves_no_process_and_no_half_written_file(tmp_path):
    forks = Forks(make_small_project(tmp_path))
    process = forks.start(["run", "small", "--to", "eda"])
    time.sleep(random.uniform(0, 2))
    os.kill(process, signal.SIGTERM)
    status, errors = forks.wait()
    assert (status, "Traceback" in errors) in ((130, False), (0, False))
    assert still_working(forks) == 0 and not list(tmp_path.rglob("*.part"))
    forks.start(["run", "small", "--to", "eda", "--resume"])
    assert forks.wait() == (0, "")
    forks.close()
