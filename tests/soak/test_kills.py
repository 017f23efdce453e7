"""The fast part of `make soak`: work killed at one random moment, another one in every run of the tests."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.timeout(600)
def test_work_killed_at_a_random_moment_and_done_again_ends_with_the_same_bytes(tmp_path):
    seed = random.Random().randint(0, 10**6)
    importable = os.pathsep.join(map(str, (TESTS.parent, TESTS, TESTS.parent / "benchmarks")))
    options = ["--moments", "1", "--seed", str(seed), "--output", str(tmp_path / "soak.json")]
    parts = ["translation", "scoring", "fit of linear"]
    command = [sys.executable, str(TESTS / "soak" / "kills.py"), *parts, *options]
    environment = {**os.environ, "PYTHONPATH": importable, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"seed {seed}: {done.stdout}{done.stderr}"
    tried = json.loads((tmp_path / "soak.json").read_text())["kills"]
    assert len(tried) == 9 and all(each["tried"] == 1 and not each["lost"] for each in tried)
