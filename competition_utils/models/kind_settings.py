"""What a config may say to each kind of model, and the check of it; light enough to run before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from competition_utils.errors import UserError
from competition_utils.models.decoder.settings import DecoderSettings

MINILM = "minilm"


@dataclass(frozen=True)
class LinearSettings:
    """What a config's `linear:` may say. `c` is the inverse strength of the penalty."""

    c: float = 0.5
    max_iterations: int = 200


@dataclass(frozen=True)
class EncoderSettings:
    """What a config's `encoder:` may say.

    `model` is "minilm", a Hub name or a folder. `dropout` 0 and frozen word embeddings make a fit on a CPU about
    twice as fast (docs/LOG.md). `collapse_auc`: a validation AUC below it counts as a collapsed fit.
    """

    model: str = MINILM
    max_length: int = 96
    epochs: float = 2.0
    batch_size: int = 64
    learning_rate: float = 2e-4
    warmup_share: float = 0.1
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    dropout: float = 0.0
    freeze_embeddings: bool = True
    dtype: str = "auto"
    token_budget: int = 8192
    evaluations: int = 4
    collapse_auc: float = 0.6


def check_kind_settings(kind: str, given: Mapping[str, Any]) -> None:
    """Raise UserError with all faults of a kind's settings. A decoder without settings is not in use: no fault."""
    if kind == "linear":
        checked_settings(LinearSettings, given, kind)
    elif kind == "encoder":
        checked_settings(EncoderSettings, given, kind)
    elif given:
        DecoderSettings.read(given)


def checked_settings(settings_class: type, given: Mapping[str, Any], where: str) -> Any:
    """A settings dataclass from a mapping; all faults are told together.

    Every field has a default, whose type says what is expected; a whole number is taken for a float.
    Raises UserError for an unknown name (with the nearest known one) or a value of another type.
    """
    known = {field.name: field.default for field in fields(settings_class)}
    faults = []
    for name, value in given.items():
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else f" Known: {', '.join(known)}."
            faults.append(f"  {where}.{name}: no such setting.{hint}")
        elif not _fits(value, known[name]):
            expected = type(known[name]).__name__
            faults.append(f"  {where}.{name}: expected {expected}, found {value!r} ({type(value).__name__}).")
    if faults:
        raise UserError("\n".join([f"{where}: {len(faults)} setting(s) cannot be used", *faults]))
    return settings_class(**{name: type(known[name])(value) for name, value in given.items()})


def _fits(value: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return type(value) is type(default)
    return isinstance(value, type(default)) or (isinstance(default, float) and isinstance(value, int))
