"""The one interface of all ways of fitting: fit, score, save, load.

A pair table is any DataFrame with the columns `task, language, query, query_en, target`; a training table has
`label` (0/1) too, and may have `weight` (float, 1 = a normal row).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from competition_utils.errors import DamagedFile, UserError
from competition_utils.settings.faults import checked
from competition_utils.settings.renamed import with_new_names
from competition_utils.settings.schema import Section
from competition_utils.storage import hash_file, read_json, read_sealed_json, write_sealed_json

# kind → where its class lives; imported only when wanted, since torch alone takes seconds.
CLASSES = {
    "linear": "competition_utils.models.linear:LinearModel",
    "encoder": "competition_utils.models.encoder.model:EncoderModel",
    "decoder": "competition_utils.models.decoder.model:DecoderModel",
}


MODEL_FILES = (".json", ".jinja", ".model", ".npz", ".safetensors", ".txt")
REPORTS = ("fit.json", "fold.json", "model.json", "report.json")
REFIT = "Fit it again: a run with --resume makes again what is not as it was."


@dataclass
class FitReport:
    """What a fit tells: `history` has a row a step or epoch (`step, epoch, loss, valid_auc, …`), `notes` are
    sentences for the reader (a collapse that was tried again, a dtype that was chosen)."""

    seed: int
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class RelevanceModel(ABC):
    """A model that says how likely a target is relevant to a query."""

    kind: ClassVar[str]
    schema: ClassVar[type[Section]]  # its settings

    def __init__(self, settings: Mapping[str, Any] | Section = MappingProxyType({})):
        given = settings.model_dump(exclude_unset=True) if isinstance(settings, Section) else settings
        self.settings = checked(self.schema, given, f"settings of {self.kind}", "Mend them in the config.")

    @abstractmethod
    def fit(self, train: pd.DataFrame, valid: pd.DataFrame, *, work_dir: Path, seed: int) -> FitReport:
        """Fit on `train`; `valid` serves early stopping and the collapse check only.

        `work_dir` holds checkpoints: a fit that was killed goes on from there when called again alike."""

    @abstractmethod
    def score(self, pairs: pd.DataFrame) -> np.ndarray:
        """float32 [n] in 0–1, in the order of `pairs`; a row's score does not depend on the other rows."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write everything that `load` needs into `folder`; safetensors, JSON or NumPy, never a pickle."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, others: Mapping[str, Any] | None = None) -> RelevanceModel:
        """What `save` wrote; `others` are settings to use instead of the saved ones."""

    @classmethod
    def saved_settings(cls, folder: Path, others: Mapping[str, Any] | None) -> dict[str, Any]:
        """The settings in `model.json` with `others` laid over them."""
        both = read_json(Path(folder) / "model.json", need=["settings"])["settings"], dict(others or {})
        saved, over = (with_new_names(values, cls.schema.renamed, cls.kind) for values in both)
        return saved | over

    def save_settings(self, folder: Path) -> None:
        """Write `model.json`: kind, settings, and the hashes that `load_model` checks. Call it last in `save`."""
        content = {"kind": self.kind, "settings": self.settings.model_dump(), "files": _hashes(Path(folder))}
        write_sealed_json(Path(folder) / "model.json", content)


def _hashes(folder: Path) -> dict[str, str]:
    """The files of a saved model and their hashes; reports, and the scores beside the model, do not belong to it."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix in MODEL_FILES)
    return {path.relative_to(folder).as_posix(): hash_file(path) for path in files if path.name not in REPORTS}


def _class_of(kind: str) -> type[RelevanceModel]:
    if kind not in CLASSES:
        raise UserError(f"model kind: expected one of {', '.join(CLASSES)}, found {kind!r}.")
    module, name = CLASSES[kind].split(":")
    return getattr(import_module(module), name)


def new_model(kind: str, settings: Mapping[str, Any] | Section) -> RelevanceModel:
    """An unfitted model of a kind; raises UserError for settings that the schema of that kind does not admit."""
    return _class_of(kind)(settings)


def load_model(folder: Path | str, others: Mapping[str, Any] | None = None) -> RelevanceModel:
    """A model that `save` wrote; `others` are settings to use instead of the saved ones, such as a device."""
    path = Path(folder) / "model.json"
    if not path.is_file():
        raise UserError(
            f"model folder: expected {path}, found none. "
            "Give the folder that a fit wrote, e.g. papermill_runs/sample/finetune/QC/fold0."
        )
    saved = read_sealed_json(path)
    for name, found in saved["files"].items():
        if not path.with_name(name).is_file() or hash_file(path.with_name(name)) != found:
            raise DamagedFile(path.with_name(name), "the file that the fit wrote", "none, or another content", REFIT)
    return _class_of(saved["kind"]).load(Path(folder), others)
