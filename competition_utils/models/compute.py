"""In which number format a CPU multiplies, and on how many threads, found by a short trial on the machine itself.

On some processors bfloat16 is three times as fast as float32, on others with the same instructions it is slower
(docs/LOG.md). The format is tried in CPU seconds on one thread, which other processes hardly disturb, and noted for the
machine. The number of threads depends on what else is running: it is tried by the clock whenever a fit or a scoring
starts. Both are kept beside a fit, so that a killed one goes on as it began.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
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
INT8 = "int8"
RECORD = {"fit": "fit_compute.json", "scoring": "score_compute.json"}
SAVED_MODEL = "model.json"  # the file of a folder in which nothing may change any more
WORTH_ROUNDING = 1.2  # a format must be so many times as fast as one that rounds less
BY_TORCH = ("float32", "bfloat16")  # what torch's autocast computes in, on a CPU
WORTH_FEWER = 1.25  # fewer threads must be so many times as fast as more
OF_THE_PROCESSOR = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags", "Features", "CPU part")


@dataclass(frozen=True)
class Compute:
    """`dtype` is a torch name or int8 (8-bit layers); `threads` is 0 on a GPU, where torch's number stays as it is."""

    device: str
    dtype: str
    threads: int = 0

    def autocast(self) -> AbstractContextManager:
        if self.dtype in ("float32", INT8):
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
    int8_work: Callable[[], Any] | None = None,
) -> Compute:
    """The choice for `work`, a small step as it is done all the time; reports it in a line. `default`, on a GPU.

    `purpose` is fit or scoring, `config` the model's (transformers). `dtype` and `num_threads` of the settings other
    than "auto" are taken as given, but never more threads than `most_threads`. `int8_work` is the step with 8-bit
    layers, where the trial may choose these too. What `folder` holds of the same machine and the same formats is taken
    without a trial; else the choice is written there, unless it is the folder of a saved model. Processes of a launch
    have the threads that the launch gave them, and the first one's format.
    """
    if default.device != "cpu":
        return default
    record = None if folder is None else folder / RECORD[purpose]
    ways = {name: partial(_under, name, work) for name in BY_TORCH} | ({INT8: int8_work} if int8_work else {})
    kept, said = read_record(record, ways), []
    dtype, threads = settings.dtype, settings.num_threads
    if dtype == AUTO:
        facts = {"purpose": purpose, "model": shape_of(config)}
        dtype = kept["dtype"] if kept else faster_format(ways, facts, said)
        dtype = distributed.gather(dtype)[0]
    if threads == AUTO:
        tried = most_threads() > 1 and not kept and not distributed.is_launched()
        step = ways.get(dtype) or partial(_under, dtype, work)
        threads = _threads_by_trial(step, said) if tried else kept["threads"] if kept else most_threads()
    choice = Compute("cpu", dtype, min(threads, most_threads()))
    if said and distributed.is_first():
        print(f"{purpose} on the {choice} (when tried: {', '.join(said)})", flush=True)
    if record is not None and not (folder / SAVED_MODEL).exists() and distributed.is_first():
        write_json(record, {**asdict(choice), "formats": list(ways), "machine": machine()})
    return choice


def copy_record(fit: Path | None, saved: Path) -> None:
    """Keep what scoring computed with in the folder `fit` beside a saved model, where it is known."""
    record = None if fit is None else fit / RECORD["scoring"]
    if record is not None and record.is_file():
        write_json(saved / record.name, read_json(record))


def read_record(record: Path | None, formats: Iterable[str]) -> dict[str, Any] | None:
    """What was chosen before on this machine; None where nothing was, on another one, or among other formats."""
    if record is None or not record.is_file():
        return None
    before_int8 = {"formats": list(BY_TORCH)}
    kept = before_int8 | read_json(record)
    return kept if kept["machine"] == machine() and kept["formats"] == list(formats) else None


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


def faster_format(ways: Mapping[str, Callable[[], Any]], facts: dict[str, Any], said: list[str]) -> str:
    """The name of one of `ways`, float32 first and what rounds more behind it, by a trial once a machine for the same
    `facts`; `said` gets the figures."""
    ways = {name: way for name, way in ways.items() if name != "bfloat16" or multiplies_bfloat16()}

    def find() -> dict[str, float]:
        with num_threads(1):
            seconds = median_seconds(ways, time.process_time)
        return {name: seconds["float32"] / seconds[name] for name in ways}

    if list(ways) == ["float32"]:
        return "float32"
    speed_up = cached_trial({**facts, "formats": list(ways), "machine": machine()}, find)
    best = "float32"
    for name in ways:
        best = name if speed_up[name] > WORTH_ROUNDING * speed_up[best] else best
    said.extend(f"{name} {speed_up[name]:.1f} times as fast as float32" for name in ways if name != "float32")
    return best


def _threads_by_trial(work: Callable[[], Any], said: list[str]) -> int:
    """All threads, half of them and so on down to one; fewer only where they are clearly faster."""

    def way(count: int) -> None:
        with num_threads(count):
            work()

    counts = [most_threads() >> half for half in range(most_threads().bit_length())]
    seconds = median_seconds({count: partial(way, count) for count in counts})
    best = counts[0]
    for count in counts[1:]:
        best = count if seconds[count] * WORTH_FEWER < seconds[best] else best
    said.append(", ".join(f"{count} thread{'s' if count > 1 else ''} {seconds[count]:.2f} s" for count in counts))
    return best
