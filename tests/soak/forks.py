"""Command lines of the suite and their kernels, as forks of a process that has imported everything.

A fresh interpreter spends five seconds on imports, a fresh kernel three; a trial would be nothing else. What runs in a
fork is what `python -m competition_utils …` and `python -m ipykernel_launcher …` run, and as elsewhere a kernel is a
child of its command, in a session of its own. `Forks` is the side of the trial; run as a program, this is the other.
"""

from __future__ import annotations

import ctypes
import gc
import io
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
ROOT_VARIABLE = "COMPETITION_UTILS_ROOT"  # names the project, and marks the processes that work for it
SET_CHILD_SUBREAPER = 36  # of prctl(2)
# What a command and a kernel import, where importing competition_utils.cli.main does not.
PRELOADED = (
    "competition_utils.augment.build",
    "competition_utils.cli.main",
    "competition_utils.data.prepare",
    "competition_utils.decide.compare",
    "competition_utils.decide.decisions",
    "competition_utils.models.linear",
    "competition_utils.plots.comparing",
    "competition_utils.runs.comparing",
    "competition_utils.runs.report.page",
    "competition_utils.runs.runner",
    "competition_utils.runs.sharing.store",
    "competition_utils.runs.sweep.cells",
    "competition_utils.runs.sweep.matrix",
    "competition_utils.runs.sweep.results",
    "competition_utils.translation.open",
    "competition_utils.models.pretrained",
    "ipykernel.debugger",
    "ipykernel.ipkernel",
    "ipykernel.kernelapp",
    "IPython.core.completer",
    "jupyter_client.launcher",
    "jupyter_client.provisioning.local_provisioner",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "tqdm.auto",
)


class Forks:
    """Starts commands of a project, one at a time, as forks of a process that it keeps."""

    def __init__(self, project: Path):
        here = Path(__file__).resolve()
        importable = os.pathsep.join([str(REPOSITORY), str(here.parents[1])])
        environment = {**os.environ, ROOT_VARIABLE: str(project), "PYTHONPATH": importable, "PYTHONHASHSEED": "0"}
        self._errors = project / "stderr.txt"
        self.project = project
        self._process = subprocess.Popen(
            [sys.executable, here, self._errors],
            env={**environment, "OMP_NUM_THREADS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._heard() == "ready", "the process that forks did not start"

    def start(self, arguments: list[str]) -> int:
        """Start `python -m competition_utils ARGUMENTS`; its process, when it heeds signals."""
        self._say(json.dumps(arguments))
        process = int(self._heard())
        while not _heeds_signals(process):
            time.sleep(0.001)
        return process

    def wait(self) -> tuple[int, str]:
        """Exit status of the command, and what it wrote to standard error."""
        self._say("wait")
        return int(self._heard()), self._errors.read_text(encoding="utf-8", errors="replace")

    def processes(self) -> list[int]:
        """What works for the project now."""
        mark, found = f"{ROOT_VARIABLE}={self.project}".encode(), []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes().split(b"\0") and int(folder.name) != self._process.pid:
                    found.append(int(folder.name))
            except OSError:  # it ended meanwhile
                continue
        return found

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()

    def _say(self, line: str) -> None:
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _heard(self) -> str:
        return self._process.stdout.readline().strip()


def _heeds_signals(process: int) -> bool:
    """Whether a process handles SIGTERM itself, or has ended."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    caught = next((line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")), "0")
    return has_ended(process) or bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def has_ended(process: int) -> bool:
    """Whether a process has ended and waits for its parent to ask for its status."""
    return "State:\tZ" in Path(f"/proc/{process}/status").read_text(encoding="utf-8")


def serve(errors: str) -> Callable[[], Any]:
    """Fork for each line of standard input; returns in the forks only, with what they are to do."""
    for name in PRELOADED:
        import_module(name)
    _read_once()
    assert not other_threads(), "a fork of a process with threads may hang"
    gc.freeze()  # else the first collection in each fork copies every page
    print("ready", flush=True)
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            return partial(command, json.loads(line), errors)
        print(child, flush=True)
        sys.stdin.readline()  # until then an ended command can be sent signals as any other
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    return sys.exit


def _read_once() -> None:
    """What each fork would read again, and none changes: lingua's models, the lexicon, the schema of notebooks."""
    languages = import_module("competition_utils.data.languages")
    languages._lingua().compute_language_confidence_values("waterproof leather shoes")
    languages._lexicon_texts()
    import_module("nbformat.validator").get_validator(4, 5)


def other_threads() -> list[str]:
    """The threads of this process but the first one and jemalloc's, which takes care of forks."""
    names = [(place / "comm").read_text().strip() for place in Path("/proc/self/task").iterdir()]
    return [name for name in names[1:] if not name.startswith("jemalloc")]


def command(arguments: list[str], errors: str) -> None:
    """Be `python -m competition_utils ARGUMENTS`."""
    silence, seen = os.open(os.devnull, os.O_RDWR), os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for file, number in ((silence, 0), (silence, 1), (seen, 2)):
        os.dup2(file, number)
    mine, helpers = socket.socketpair()
    if os.fork() == 0:
        mine.close()
        return start_kernels(helpers)()
    helpers.close()
    # A kernel is forked by the helper's child, which ends: it becomes a child of the nearest subreaper, this process.
    assert ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    import_module("jupyter_client.launcher").Popen = partial(Kernel, mine)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["competition_utils", *arguments]
    return runpy.run_module("competition_utils", run_name="__main__", alter_sys=True)


class Kernel(subprocess.Popen):
    """What jupyter_client takes for a process that it started."""

    def __init__(self, helper: socket.socket, argv: list[str], *, env: dict[str, str], cwd: str | None, **_: Any):
        assert argv[1:3] == ["-m", "ipykernel_launcher"], argv
        helper.sendall(json.dumps({"argv": argv[2:], "env": env, "cwd": str(cwd or Path.cwd())}).encode() + b"\n")
        self.args, self.pid, self.returncode = argv, int(helper.recv(32)), None
        self.stdin, self.stdout, self.stderr = io.BytesIO(), None, None
        self._child_created, self._waitpid_lock = True, threading.Lock()


def start_kernels(requests: socket.socket) -> Callable[[], Any]:
    """Start the kernels of the parent process for as long as that lives; returns in the kernels only."""
    runner = os.getppid()
    with suppress(ConnectionResetError):  # the runner was stopped before it had read which process its kernel is
        for line in requests.makefile():
            between = os.fork()
            if between == 0:
                if os.fork():
                    os._exit(0)
                return partial(kernel, runner, requests, **json.loads(line))
            os.waitpid(between, 0)
    os._exit(0)


def kernel(runner: int, requests: socket.socket, argv: list[str], env: dict[str, str], cwd: str) -> None:
    """Be `python -m ipykernel_launcher …`, once this process is the runner's child."""
    os.setsid()
    while os.getppid() != runner:
        if os.getppid() == 1:
            os._exit(1)
        time.sleep(0.001)
    try:
        requests.sendall(str(os.getpid()).encode())
    except OSError:  # the runner has ended meanwhile
        os._exit(1)
    requests.close()
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    # Else read from the environment when the module is imported, which is long past.
    sys.argv = [*argv, f"--IPKernelApp.parent_handle={env['JPY_PARENT_PID']}"]
    runpy.run_module(argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    serve(sys.argv[1])()
