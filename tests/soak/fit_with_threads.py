"""Fits each kind of model with one thread, again, and with two: `python fit_with_threads.py FOLDER`."""

import os
import sys
from pathlib import Path

import torch
from soak.work import PARTS, import_networks, prepare_inputs
from threadpoolctl import threadpool_limits

FITS = [name for name in PARTS if name.startswith("fit of")]
THREADS = {"one": 1, "again": 1, "two": 2}


def in_a_fork(threads: int, work, *arguments) -> None:
    """Call `work` in a fork of this process, which has imported everything and computed nothing."""
    child = os.fork()
    if child == 0:
        torch.set_num_threads(threads)
        with threadpool_limits(threads):
            work(*arguments)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def main(folder: Path) -> None:
    import_networks()
    in_a_fork(1, prepare_inputs, folder / "inputs", True)
    for fit in FITS:
        for name, threads in THREADS.items():
            in_a_fork(threads, PARTS[fit], folder / "inputs", folder / fit / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
