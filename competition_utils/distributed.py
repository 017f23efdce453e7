"""One process or several, started by `accelerate launch`: which one this is, and how they exchange results.

Rank and world size are those of the launch, as its environment says. `barrier` and `gather` need the process group,
which `join` enters through accelerate's `PartialState`; a process of a launch that has not joined works for itself.
"""

from __future__ import annotations

import os
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


def rank() -> int:
    """Number of this process in its launch; 0 without one."""
    return int(os.environ.get("RANK", 0))


def world_size() -> int:
    """Number of processes in the launch; 1 without one."""
    return int(os.environ.get("WORLD_SIZE", 1))


def local_rank() -> int:
    """The GPU of this process: the launcher numbers the processes of a machine."""
    return int(os.environ.get("LOCAL_RANK", 0))


def is_launched() -> bool:
    """Whether this process is one of several."""
    return world_size() > 1


def is_first() -> bool:
    """Whether this is the process that writes and prints; true where there is only one."""
    return rank() == 0


def join(*, cpu: bool) -> None:
    """Enter the process group of the launch, before the first thing that is done together."""
    if is_launched():
        from accelerate import PartialState

        PartialState(cpu=cpu)


def share() -> tuple[int, int]:
    """(rank, number of processes) in the process group; (0, 1) for a process that has not joined one."""
    import torch.distributed as group

    return (group.get_rank(), group.get_world_size()) if group.is_initialized() else (0, 1)


def barrier() -> None:
    """Wait until every process of a launch has come to this point."""
    if is_launched():
        from accelerate import PartialState

        PartialState().wait_for_everyone()


def gather(value: T) -> list[T]:
    """The values of all processes of the group, by rank, on every process."""
    if share()[1] == 1:
        return [value]
    from accelerate.utils import gather_object

    return gather_object([value])


def add_up(values: np.ndarray) -> Any:
    """The sum over all processes of the group, on every process; the same array where there is one process."""
    parts = gather(values)
    return values if len(parts) == 1 else np.sum(parts, axis=0)
