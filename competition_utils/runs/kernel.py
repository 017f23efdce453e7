"""Executes one notebook with papermill, in a kernel of this very interpreter."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import papermill
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm

from competition_utils import errors, paths
from competition_utils.storage import hash_file, read_json, read_sealed_json, write_json, write_sealed_json

START_SECONDS = 600  # a kernel starts in seconds, on a starved machine in minutes
EXECUTED = ".executed.json"
# A file that is missing within a stage is more likely our fault than the user's; these are the user's.
UNUSABLE_FILE = {kind.__name__ for kind in (PermissionError, IsADirectoryError, NotADirectoryError)}


class StageFailed(Exception):
    """A notebook ended with an error that is no fault of the input; the command line exits with status 1."""


class OwnKernelManager(AsyncKernelManager):
    """Starts a kernel with `sys.executable`, whatever the kernel specs on this machine call python3."""

    @property
    def kernel_spec(self) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=CRITICAL"]
        return KernelSpec(argv=argv, display_name="Python 3", language="python")

    async def _async_start_kernel(self, **kwargs: Any) -> None:
        kwargs["env"] = kernel_environment()
        await super()._async_start_kernel(**kwargs)

    start_kernel = _async_start_kernel


def kernel_environment() -> dict[str, str]:
    """This process's environment, with this same package importable and the order of sets as in every run."""
    python_path = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, python_path)),
        paths.WORK_VARIABLE: str(paths.work_root()),  # which may follow from the working directory
        "PYTHONHASHSEED": "0",
        "TOKENIZERS_PARALLELISM": "false",
        "CUBLAS_WORKSPACE_CONFIG": os.environ.get("CUBLAS_WORKSPACE_CONFIG", ":4096:8"),
    }


class ProgressEcho:
    """Shows the last line of progress that a notebook prints: below the bar in a terminal, and in a log as a
    line a minute, so that a fit of hours does not look like a hang."""

    LOG_SECONDS = 60

    def __init__(self, stage: str):
        self._stage = stage
        self._started = self._logged = time.monotonic()
        self._in_terminal = sys.stderr.isatty()
        self._bar = tqdm(total=0, position=1, bar_format="  {desc}", leave=False, disable=None)

    def write(self, text: str) -> None:
        line = next((part.strip() for part in reversed(text.replace("\r", "\n").split("\n")) if part.strip()), "")
        if not line:
            return
        self._bar.set_description_str(line)
        now = time.monotonic()
        if not self._in_terminal and now - self._logged >= self.LOG_SECONDS:
            self._logged = now
            print(f"  {self._stage} {clock(now - self._started)}  {line}", file=sys.stderr, flush=True)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self._bar.close()


def clock(seconds: float) -> str:
    """`0:07`, `12:34` or `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def execute(stage: str, run: Path, parameters: Mapping[str, Any], expected: float | None = None) -> None:
    """Execute the notebook of a stage into the run's folder; `expected` seconds are shown beside the bar.

    It grows beside, as `03_finetune.running.ipynb`, and takes its place when it ended, well or not. Raises
    UserError for one raised in a cell, StageFailed for any other error; both name the executed notebook.
    """
    executed = run / paths.notebook_name(stage)
    growing = executed.with_suffix(".running.ipynb")
    echo = ProgressEcho(stage)
    title = stage if expected is None else f"{stage} (about {clock(expected)})"
    try:
        papermill.execute_notebook(
            paths.notebook_path(stage),
            growing,
            parameters=dict(parameters),
            cwd=paths.notebook_path(stage).parent,
            kernel_name="python3",
            language="python",
            kernel_manager_class=OwnKernelManager,
            progress_bar={"desc": title, "leave": False, "disable": None},
            stderr_file=echo,
            start_timeout=START_SECONDS,
            coalesce_streams=True,  # else each refresh of a progress bar stays as a line of its own
        )
    except KeyboardInterrupt:
        logging.getLogger("asyncio").disabled = True  # it would print the traceback of the kernel that was stopped
        raise
    except PapermillExecutionError as error:
        raise _told(stage, executed, error) from None
    except DeadKernelError:
        raise StageFailed(
            f"Stage {stage} failed: its kernel died, most often for want of memory.\n"
            f"See how far it came in {paths.shown(executed)}; give smaller batches, then go on with --resume."
        ) from None
    except RuntimeError as error:
        if "Kernel died before replying" in str(error):
            raise StageFailed(
                f"Stage {stage} failed: its kernel died while it started, most often for want of memory.\n"
                "Go on with --resume when there is some."
            ) from None
        if "Kernel didn't respond" not in str(error):
            raise
        raise StageFailed(
            f"Stage {stage} failed: its kernel did not start within {START_SECONDS} seconds.\n"
            "The machine is short of processor time or memory; go on with --resume when it has some."
        ) from None
    finally:
        echo.close()
        if growing.is_file():
            _drop_blank_streams(growing)
            growing.replace(executed)


def _drop_blank_streams(notebook: Path) -> None:
    """A progress bar that clears itself leaves nothing but blanks, which a page shows as an empty red line."""
    content = read_json(notebook)
    for cell in content["cells"]:
        cell["outputs"] = [each for each in cell.get("outputs", []) if "".join(each.get("text", "x")).strip()]
        if cell["cell_type"] != "code":
            del cell["outputs"]
    write_json(notebook, content)


def note_executed(run: Path, stage: str, seconds: float, source: str | None = None) -> None:
    """Keep the hash of a stage's executed notebook and its seconds, so that a changed or lost one is noticed; with
    `source`, the run that computed it where that is another one."""
    entry: dict[str, Any] = {"sha256": hash_file(run / paths.notebook_name(stage)), "seconds": round(seconds, 2)}
    if source not in (None, run.name):
        entry["from"] = source
    write_sealed_json(run / EXECUTED, {**read_executed(run), stage: entry})


def read_executed(run: Path) -> dict[str, dict[str, Any]]:
    """stage → `sha256, seconds` of the notebooks that the runner executed, and `from`, the run that a stage was taken
    from; empty where the note is damaged."""
    try:
        return read_sealed_json(run / EXECUTED)
    except (errors.DamagedFile, OSError):
        return {}


def _told(stage: str, executed: Path, error: PapermillExecutionError) -> Exception:
    if error.ename in _user_error_names():
        return errors.UserError(f"Stage {stage}: {error.evalue}\n(reported by {paths.shown(executed)})")
    if error.ename in UNUSABLE_FILE:
        return errors.UserError(
            f"Stage {stage}: expected files and folders that can be read and written, found: {error.evalue}\n"
            f"Check path and permissions. (reported by {paths.shown(executed)})"
        )
    reason = error.evalue.strip().split("\n")[0]
    return StageFailed(
        f"Stage {stage} failed in cell In [{error.exec_count}]: {error.ename}: {reason}\n"
        f"Open {paths.shown(executed)} to see where; go on with --resume."
    )


def _user_error_names() -> set[str]:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    return {kind.__name__ for kind in kinds if issubclass(kind, errors.UserError)}
