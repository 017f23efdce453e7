"""Ctrl-C while packages are still being imported: silent, status 130."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

HELP = [sys.executable, "-m", "competition_utils", "check-data", "--help"]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks into /proc to see what is imported")
@pytest.mark.parametrize("library", ["numpy", "pandas", "pyarrow", "orjson"])
def test_ctrl_c_during_imports_is_silent_and_status_130(library):
    heeds = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # tests in the background ignore Ctrl-C
    child = subprocess.Popen(HELP, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heeds)
    maps = Path(f"/proc/{child.pid}/maps")
    while child.poll() is None and f"/{library}/" not in maps.read_text():
        time.sleep(0.001)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert (child.returncode, errors) == (130, b"")


def test_an_ignored_ctrl_c_stays_ignored():
    ignore = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    child = subprocess.Popen([sys.executable, "-c", ignore, *HELP], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(0.3)  # the signal is ignored from the first lines on
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    assert child.returncode == 0
