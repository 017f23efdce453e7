"""In which number format a CPU multiplies, and on how many threads, found by a short trial on the machine itself.

On some processors bfloat16 is three times as fast as float32, on others with the same instructions it is slower
(docs/LOG.md). The format is tried in CPU seconds on one thread, which other processes hardly disturb, and noted for the
machine. The number of threads depends on what else is running: it is tried by the clock whenever a fit or a scoring
starts. Both are kept beside a fit, so that a killed one goes on as it began.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from competition_utils import distributed
from competition_utils.models.scoring.trials import cached_trial, median_seconds
from competition_utils.models.threads import most_threads, num_threads
from competition_utils.settings.schema import TrainingSettings
from competition_utils.storage import hash_json, read_json, write_json

AUTO = "auto"
RECORD = {"fit": "fit_compute.json", "scoring": "score_compute.json"}
SAVED_MODEL = "model.json"  # the file of a folder in which nothing may change any more
WORTH_ROUNDING = 1.2  # bfloat16 must be so many times as fast as float32
WORTH_FEWER = 1.25  # fewer threads must be so many times as fast as more
OF_THE_PROCESSOR = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags", "Features", "CPU part")


@dataclass(frozen=True)
class Compute:
    """`dtype` is a torch name; `threads` is 0 on a GPU, where torch's number stays as it is."""

    device: str
    dtype: str
    threads: int = 0

    def autocast(self) -> AbstractContextManager:
        if self.dtype == "float32":
            return nullcontext()
        return torch.autocast(self.device, getattr(torch, self.dtype))

    def on_threads(self) -> AbstractContextManager:
        return num_threads(self.threads) if self.threads else nullcontext()

    @contextmanager
    def active(self) -> Iterator[None]:
        """The format and the threads within the block."""
        with self.on_threads(), self.autocast():
            yield

    def __str__(self) -> str:
        threads = f", {self.threads} thread{'s' if self.threads > 1 else ''}" if self.threads else ""
        return f"{self.device} in {self.dtype}{threads}"


def choose_compute(
    work: Callable[[], Any],
    *,
    purpose: str,
    config: Any,
    settings: TrainingSettings,
    default: Compute,
    folder: Path | None,
) -> Compute:
    """The choice for `work`, a small step as it is done all the time; reports it in a line. `default`, on a GPU.

    `purpose` is fit or scoring, `config` the model's (transformers). `dtype` and `num_threads` of the settings other
    than "auto" are taken as given, but never more threads than `most_threads`. What `folder` holds of the same machine
    is taken without a trial; else the choice is written there, unless it is the folder of a saved model. Processes of a
    launch have the threads that the launch gave them, and the first one's format.
    """
    if default.device != "cpu":
        return default
    record = None if folder is None else folder / RECORD[purpose]
    kept, said = read_record(record), []
    dtype, threads = settings.dtype, settings.num_threads
    if dtype == AUTO:
        dtype = kept["dtype"] if kept else _format_by_trial(work, purpose, config, said)
        dtype = distributed.gather(dtype)[0]
    if threads == AUTO:
        tried = most_threads() > 1 and not kept and not distributed.is_launched()
        threads = _threads_by_trial(work, dtype, said) if tried else kept["threads"] if kept else most_threads()
    choice = Compute("cpu", dtype, min(threads, most_threads()))
    if said and distributed.is_first():
        print(f"{purpose} on the {choice} (when tried: {', '.join(said)})", flush=True)
    if record is not None and not (folder / SAVED_MODEL).exists() and distributed.is_first():
        write_json(record, {**asdict(choice), "machine": machine()})
    return choice


def copy_record(fit: Path | None, saved: Path) -> None:
    """Keep what scoring computed with in the folder `fit` beside a saved model, where it is known."""
    record = None if fit is None else fit / RECORD["scoring"]
    if record is not None and record.is_file():
        write_json(saved / record.name, read_json(record))


def read_record(record: Path | None) -> dict[str, Any] | None:
    """What was chosen before on this machine; None where nothing was, or on another one."""
    if record is None or not record.is_file():
        return None
    kept = read_json(record)
    return kept if kept["machine"] == machine() else None


@cache
def machine() -> str:
    """A hash of the processor, the cores that this process may use and the version of torch."""
    return hash_json([_processor(), most_threads(), torch.__version__])[:16]


def _processor() -> dict[str, str]:
    """What Linux says of the first core: virtual machines of one name differ in their flags."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").split("\n\n")[0].splitlines() if file.is_file() else []
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return {name: facts[name] for name in OF_THE_PROCESSOR if name in facts} or {"name": platform.processor()}


def shape_of(config: Any) -> dict[str, Any]:
    """A model's configuration without what does not decide its speed, such as the folder that it was read from."""
    return {name: value for name, value in config.to_dict().items() if not name.startswith(("_name", "transformers_"))}


def multiplies_bfloat16() -> bool:
    """Whether the processor says that it does; it may be slow at it all the same."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _under(dtype: str, work: Callable[[], Any]) -> Any:
    with Compute("cpu", dtype).autocast():
        return work()


def faster_format(ways: dict[str, Callable[[], Any]], facts: dict[str, Any], said: list[str]) -> str:
    """float32 or bfloat16, by a trial once a machine for the same `facts`; `said` gets the figure."""

    def find() -> dict[str, Any]:
        with num_threads(1):
            seconds = median_seconds(ways, time.process_time)
        return {"speed_up": seconds["float32"] / seconds["bfloat16"]}

    if not multiplies_bfloat16():
        return "float32"
    speed_up = cached_trial({**facts, "machine": machine()}, find)["speed_up"]
    said.append(f"bfloat16 {speed_up:.1f} times as fast as float32")
    return "bfloat16" if speed_up > WORTH_ROUNDING else "float32"


def _format_by_trial(work: Callable[[], Any], purpose: str, config: Any, said: list[str]) -> str:
    ways = {dtype: partial(_under, dtype, work) for dtype in ("float32", "bfloat16")}
    return faster_format(ways, {"purpose": purpose, "model": shape_of(config)}, said)


def _threads_by_trial(work: Callable[[], Any], dtype: str, said: list[str]) -> int:
    """All threads, half of them and so on down to one; fewer only where they are clearly faster."""

    def way(count: int) -> None:
        with num_threads(count):
            _under(dtype, work)

    counts = [most_threads() >> half for half in range(most_threads().bit_length())]
    seconds = median_seconds({count: partial(way, count) for count in counts})
    best = counts[0]
    for count in counts[1:]:
        best = count if seconds[count] * WORTH_FEWER < seconds[best] else best
    said.append(", ".join(f"{count} thread{'s' if count > 1 else ''} {seconds[count]:.2f} s" for count in counts))
    return best
