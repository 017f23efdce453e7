"""The settings of a decoder: each named, defaulted and checked here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Annotated, Any, get_type_hints

from competition_utils.errors import DataError, Fault
from competition_utils.models.decoder.device import AUTO

LINEAR_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
TRACKERS = ("trackio", "tensorboard", "wandb")

# A check takes a value and gives what was expected where the value is wrong, None where it is right.
Check = Callable[[Any], str | None]


def _one_of(*allowed: Any) -> Check:
    listed = ", ".join(map(str, allowed))
    # 1 == True in Python, so the type counts too.
    return lambda value: None if (type(value), value) in [(type(one), one) for one in allowed] else listed


def _is_number(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _number(low: float, high: float) -> Check:
    return lambda value: None if _is_number(value, low, high) else f"a number from {low:g} to {high:g}"


def _whole(low: int, *others: str) -> Check:
    expected = " or ".join([f"a whole number from {low}", *others])

    def check(value: Any) -> str | None:
        whole = isinstance(value, int) and _is_number(value, low, float("inf"))
        return None if whole or (isinstance(value, str) and value in others) else expected

    return check


def _texts(*counts: int, among: tuple[str, ...] = ()) -> Check:
    size = f" ({' or '.join(map(str, counts))} of them)" if counts else ""
    expected = "a list of texts" + size + (f" among {', '.join(among)}" if among else "")

    def check(value: Any) -> str | None:
        texts = isinstance(value, list | tuple) and all(isinstance(text, str) and text for text in value)
        right = texts and (not counts or len(value) in counts) and (not among or set(value) <= set(among))
        return None if right else expected

    return check


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value else "a text"


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _class_weights(value: Any) -> str | None:
    pair = isinstance(value, list | tuple) and len(value) == 2 and all(_is_number(one, 0, 1e6) for one in value)
    right = pair or (isinstance(value, str) and value in ("none", "balanced"))
    return None if right else "none, balanced, or two weights (label 0, label 1)"


Switch = Annotated[bool, _one_of(True, False)]
AutoSwitch = Annotated[bool | str, _one_of(AUTO, True, False)]
Texts = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DecoderSettings:
    """Lengths are in tokens, `evaluate_every` in optimizer steps; the comments say what each is for."""

    model: Annotated[str, _text]  # a Hub name, or a folder that save_pretrained wrote
    # label_token: the frozen output rows of the two label words; head: the same two rows, trained along.
    objective: Annotated[str, _one_of("label_token", "head")] = "label_token"

    # Where it runs; what "auto" came to is told by the fit (device.py).
    device: Annotated[str, _one_of(AUTO, "cpu", "cuda")] = AUTO
    backend: Annotated[str, _one_of(AUTO, "unsloth", "transformers")] = AUTO
    dtype: Annotated[str, _one_of(AUTO, "bfloat16", "float16", "float32")] = AUTO
    attention: Annotated[str, _one_of(AUTO, "sdpa", "eager", "flex_attention", "flash_attention_2")] = AUTO
    four_bit: AutoSwitch = AUTO
    processes: Annotated[int, _whole(1)] = 1  # more: `accelerate launch`, one a GPU
    parallel: Annotated[str, _one_of("ddp", "fsdp")] = "ddp"  # fsdp where one GPU does not hold the model

    # What it reads.
    max_length: Annotated[int, _whole(16)] = 256
    translation: Switch = True  # the English query as a line of its own
    tags: Annotated[Texts, _texts()] = ()  # further columns of the table, a line each
    label_words: Annotated[Texts, _texts(0, 2)] = ()  # negative, positive; empty: the first that fit

    # The adapter.
    lora_rank: Annotated[int, _whole(1)] = 16
    lora_alpha: Annotated[float, _number(1e-3, 1e4)] = 32
    lora_dropout: Annotated[float, _number(0, 0.9)] = 0.0
    lora_targets: Annotated[Texts, _texts()] = LINEAR_LAYERS

    # How it learns.
    # two_stage: first the other task's rows, then those of the task of `valid`; joint: all tasks at once.
    training: Annotated[str, _one_of("single", "two_stage", "joint")] = "single"
    first_stage_epochs: Annotated[float, _number(0.01, 100)] = 1.0  # two_stage: over the other task
    start_from: Annotated[str | None, _text_or_none] = None  # a fitted decoder whose adapter is trained on
    epochs: Annotated[float, _number(0.01, 1000)] = 1.0
    learning_rate: Annotated[float, _number(1e-8, 1)] = 2e-4
    schedule: Annotated[str, _one_of("cosine", "linear", "constant_with_warmup")] = "cosine"
    warmup: Annotated[float, _number(0, 0.9)] = 0.03  # share of the steps
    weight_decay: Annotated[float, _number(0, 1)] = 0.01
    gradient_clip: Annotated[float, _number(1e-3, 1e3)] = 1.0
    optimizer: Annotated[str, _one_of(AUTO, "adamw_torch", "adamw_torch_fused", "adamw_8bit")] = AUTO
    class_weights: Annotated[Any, _class_weights] = "none"
    label_smoothing: Annotated[float, _number(0, 0.5)] = 0.0

    # Batches: the effective batch never changes; micro-batch and checkpointing follow the memory.
    effective_batch: Annotated[int, _whole(1)] = 32
    micro_batch: Annotated[int | str, _whole(1, AUTO)] = AUTO
    batching: Annotated[str, _one_of("grouped", "padding_free", "shuffled")] = "grouped"
    gradient_checkpointing: AutoSwitch = AUTO
    score_tokens: Annotated[int, _whole(16)] = 32768  # tokens a batch when scoring; halved until it fits a GPU
    score_engine: Annotated[str, _one_of("own", "vllm")] = "own"  # vllm: for label_token, where the package is
    share_prefix: AutoSwitch = AUTO  # scoring: what all prompts begin with is computed once; auto tries if that pays

    # Looking while it learns.
    evaluate_every: Annotated[int, _whole(1)] = 500  # checkpoints at the same steps
    patience: Annotated[int, _whole(1)] = 3  # evaluations without a better F1 before it stops
    keep_checkpoints: Annotated[int, _whole(1)] = 2
    trackers: Annotated[Texts, _texts(among=TRACKERS)] = ()
    push_to_hub: Annotated[str | None, _text_or_none] = None  # a Hub repository; only when asked

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> DecoderSettings:
        """Check `given` and fill in the defaults.

        Raises DataError with every fault at once: unknown names, wrong types, values out of range.
        """
        hints = get_type_hints(cls, include_extras=True)
        faults = [_unknown(name, hints) for name in given if name not in hints]
        if "model" not in given:
            faults.append(Fault("missing setting", "decoder.model", "expected a Hub name or a folder"))
        for name in (name for name in given if name in hints):
            expected = hints[name].__metadata__[0](given[name])
            if expected:
                faults.append(_wrong(name, expected, given[name]))
        faults += [] if faults else _faults_between(cls(**given))
        if faults:
            raise DataError("The settings of the decoder have faults:", faults, "Correct them in the config.")
        return cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in given.items()})

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def rows_per_process(self) -> int:
        """Rows of one optimizer step that each process sees."""
        return self.effective_batch // self.processes

    @property
    def sharded(self) -> bool:
        """Whether the model lies in parts on several GPUs, which then must take every step together."""
        return self.parallel == "fsdp" and self.processes > 1


def _wrong(name: str, expected: str, found: Any) -> Fault:
    return Fault("wrong setting", f"decoder.{name}", f"expected {expected}, found {found!r}")


def _unknown(name: str, known: Mapping[str, Any]) -> Fault:
    near = get_close_matches(name, known, n=1)
    return Fault("unknown setting", f"decoder.{name}", f"did you mean {near[0]}?" if near else "no such setting")


def _faults_between(settings: DecoderSettings) -> list[Fault]:
    """What single values cannot show: the effective batch must divide evenly, vLLM knows no trained label rows."""
    if settings.score_engine == "vllm" and settings.objective == "head":
        return [_wrong("score_engine", "own, since vLLM cannot use the rows that objective: head trains", "vllm")]
    if settings.effective_batch % settings.processes:
        expected = f"a multiple of processes = {settings.processes}"
        return [_wrong("effective_batch", expected, settings.effective_batch)]
    if settings.micro_batch != AUTO and settings.rows_per_process % settings.micro_batch:
        return [_wrong("micro_batch", f"a divisor of {settings.rows_per_process}", settings.micro_batch)]
    return []
