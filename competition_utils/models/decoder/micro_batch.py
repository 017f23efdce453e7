"""The largest micro-batch that fits, found once by trying and cached; the effective batch never changes.

Trying beats computing: what a step needs depends on kernels, checkpointing and the allocator.
Not by `accelerate.find_executable_batch_size`: it lowers one number, and here checkpointing is a second one, sizes
must divide the total batch, and every process must take the same; the loop that it would replace has eight lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from competition_utils import distributed
from competition_utils.errors import UserError
from competition_utils.models.decoder.device import AUTO

COMFORTABLE = 8  # below this many rows at once, recomputing activations costs less than small batches
CPU_MICRO_BATCH = 16
HEADROOM = 0.92  # of the GPU's memory while trying: the rest is for the optimizer and fragments


@dataclass(frozen=True)
class Fit:
    """Rows a forward pass, and whether activations are recomputed in the backward pass."""

    micro_batch: int
    checkpointing: bool

    def __str__(self) -> str:
        recomputed = "recomputed in the backward pass" if self.checkpointing else "kept"
        return f"{self.micro_batch} rows at once, activations {recomputed}"


def candidates(rows: int, micro_batch: int | str, checkpointing: bool | str) -> list[Fit]:
    """What to try, best first: without checkpointing down to a comfortable size, then with it down to one
    row.

    `rows` is the number of rows a process sees in one optimizer step; sizes are its divisors.
    """
    divisors = [size for size in range(rows, 0, -1) if rows % size == 0]
    sizes = divisors if micro_batch == AUTO else [micro_batch]
    if checkpointing != AUTO:
        return [Fit(size, bool(checkpointing)) for size in sizes]
    plain = [size for size in sizes if size >= min(COMFORTABLE, rows) or micro_batch != AUTO]
    return [Fit(size, False) for size in plain] + [Fit(size, True) for size in sizes]


def largest_that_fits(choices: Iterable[Fit], try_step: Callable[[Fit], None]) -> Fit:
    """The first choice whose step does not run out of memory; raises UserError where none fits."""
    import torch

    for choice in choices:
        try:
            try_step(choice)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
        else:
            return choice
    raise UserError(
        "per_device_train_batch_size: expected a step of one row to fit into the GPU's memory, found that it does not. "
        "Set `load_in_4bit: true`, a smaller `max_length`, or `parallel: fsdp` with a higher `num_processes`."
    )


def smallest_of_all(fit: Fit) -> Fit:
    """The choice that suits every process of a launch: the smallest micro-batch, checkpointing if any needs
    it."""
    found = distributed.gather((fit.micro_batch, fit.checkpointing))
    return Fit(min(size for size, _ in found), any(wanted for _, wanted in found))
