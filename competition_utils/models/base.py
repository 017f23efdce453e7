"""The one interface of all ways of fitting: fit, score, save, load.

A pair table is any DataFrame with the columns `task, language, query, query_en, target`, and `target_en` where titles
are translated, and `category_hint`; a training table has `label` (0/1) too, and may have `weight` (float, 1 = a normal
row).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from competition_utils.errors import DamagedFile, UserError
from competition_utils.models.inspection import argument_table, parameter_table, training_plan
from competition_utils.models.parts import edits_of, part
from competition_utils.settings.faults import checked
from competition_utils.settings.own_code import is_own, own_code
from competition_utils.settings.renamed import with_new_names
from competition_utils.settings.schema import Section
from competition_utils.storage import hash_file, read_json, read_sealed_json, write_sealed_json

# kind → where its class lives; imported only when wanted, since torch alone takes seconds.
CLASSES = {
    "linear": "competition_utils.models.linear:LinearModel",
    "encoder": "competition_utils.models.encoder.model:EncoderModel",
    "decoder": "competition_utils.models.decoder.model:DecoderModel",
}
OWN: dict[str, type[RelevanceModel]] = {}  # kinds that `register_model` got, of this process

MODEL_FILES = (".json", ".jinja", ".model", ".npz", ".safetensors", ".txt")
REPORTS = ("fit.json", "fold.json", "model.json", "report.json")
REFIT = "Fit it again: a run with --resume makes again what is not as it was."


@dataclass
class FitReport:
    """What a fit reports: `history` has a row a step or epoch (`step, epoch, loss, valid_auc, …`), `notes` are
    sentences for the reader (a collapse that was tried again, a dtype that was chosen)."""

    seed: int
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class RelevanceModel(ABC):
    """A model that says how likely a target is relevant to a query.

    It is made of parts and short steps, which `fit` uses in this order and a notebook can show, change or replace by
    assignment: `prompt`, `load_tokenizer`, `load_base_model` (with `quantization_config`), `add_adapter` (with
    `lora_config`), `training_arguments` (with `argument_overrides`), `make_trainer` (with `loss`). A kind that has no
    use for a part has None.
    """

    kind: ClassVar[str]
    schema: ClassVar[type[Section]]  # its settings
    prompt: Any = None
    quantization_config: Any = None
    lora_config: Any = None
    loss: Any = None
    report_history: Callable[[list[dict[str, float]]], None] | None = None  # called during a fit with its history

    def __init__(self, settings: Mapping[str, Any] | Section = MappingProxyType({})):
        given = settings.model_dump(exclude_unset=True) if isinstance(settings, Section) else dict(settings)
        self.settings = checked(self.schema, given, f"settings of {self.kind}", "Mend them in the config.")
        self.given_edits: Mapping[str, Any] = {}

    @part
    def argument_overrides(self) -> dict[str, Any]:
        """Arguments of the trainer, by the library's names, to use instead of those that the settings give."""
        return {}

    def edits(self) -> dict[str, dict[str, Any]]:
        """What was changed of the parts since the settings made them: part → field → value; empty where nothing."""
        return edits_of(self)

    def identity(self) -> dict[str, Any]:
        """What a fit depends on besides its rows and seed."""
        return {"kind": self.kind, "settings": self.settings.model_dump(), "edits": self.edits()}

    # The steps of a fit

    @abstractmethod
    def load_tokenizer(self) -> Any:
        """What turns texts into tokens."""

    @abstractmethod
    def load_base_model(self, seed: int = 0) -> Any:
        """The model before it is fitted; `seed` draws weights that it has not."""

    def add_adapter(self, network: Any, seed: int = 0) -> Any:
        """The base model with what is trained of it; `seed` draws new weights."""
        return network

    @abstractmethod
    def training_arguments(self, folder: Path, seed: int = 0) -> Any:
        """The arguments of the trainer; checkpoints go to `folder`."""

    @abstractmethod
    def training_rows(self, table: pd.DataFrame) -> Any:
        """A training or validation table as the trainer takes it."""

    @abstractmethod
    def make_trainer(self, network: Any, rows: Any, valid: Any, arguments: Any) -> Any:
        """A trainer of `network`, ready to start; `rows` and `valid` are what `training_rows` gives."""

    # What a notebook shows

    @abstractmethod
    def token_parts(self, pairs: pd.DataFrame) -> pd.DataFrame:
        """The tokens of each pair in their order: `pair` (row number), `token` (its text), `part` (query, translation,
        target, frame, cut)."""

    @abstractmethod
    def token_lengths(self, pairs: pd.DataFrame) -> np.ndarray:
        """int64 [n]: tokens of each pair, before anything is cut."""

    def parameter_table(self, network: Any) -> pd.DataFrame:
        """The parameters of a model and which of them are trained, see `inspection.parameter_table`."""
        return parameter_table(network)

    def argument_table(self, trainer: Any) -> pd.DataFrame:
        """The arguments of a trainer that differ from the library's defaults: `value, default`."""
        return argument_table(trainer.args)

    def training_plan(self, trainer: Any) -> pd.Series:
        """Rows, batches and steps of a trainer."""
        return training_plan(trainer)

    def where_it_trains(self) -> str:
        """A sentence on the processes that a fit runs in."""
        return "Training runs in this process."

    # The estimator

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
    def load(cls, folder: Path, overrides: Mapping[str, Any] | None = None) -> RelevanceModel:
        """What `save` wrote; `overrides` are settings to use instead of the saved ones."""

    @classmethod
    def saved_settings(cls, folder: Path, overrides: Mapping[str, Any] | None) -> dict[str, Any]:
        """The settings in `model.json` with `overrides` laid over them."""
        both = read_json(Path(folder) / "model.json", need=["settings"])["settings"], dict(overrides or {})
        saved, over = (with_new_names(values, cls.schema.renamed, cls.kind) for values in both)
        return saved | over

    @staticmethod
    def saved_edits(folder: Path) -> dict[str, Any]:
        """The edits in `model.json`, for `given_edits` of the loaded model."""
        return read_json(Path(folder) / "model.json").get("edits", {})

    def save_settings(self, folder: Path) -> None:
        """Write `model.json`: kind, settings, edits, hashes that `load_model` checks. Call it last in `save`."""
        identity = self.identity()
        if not identity["edits"]:
            del identity["edits"]
        write_sealed_json(Path(folder) / "model.json", {**identity, "files": _hashes(Path(folder))})


def _hashes(folder: Path) -> dict[str, str]:
    """The files of a saved model and their hashes; reports, and the scores beside the model, do not belong to it."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix in MODEL_FILES)
    names = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: hash_file(path) for name, path in names.items() if name not in REPORTS}


def register_model(kind: str, model: type[RelevanceModel]) -> None:
    """Make a class known as a kind in this process, for `new_model` and for models of it that `load_model` finds."""
    if kind in CLASSES:
        raise UserError(f"model kind: expected a name of your own, found {kind!r}. Choose another.")
    model.kind, OWN[kind] = kind, model


def register_own(choice: str) -> None:
    """Register the class that `python:MODULE:CLASS` names, under that name; UserError where it is no model."""
    register_model(choice, own_code(choice, RelevanceModel))


def _class_of(kind: str) -> type[RelevanceModel]:
    if kind in OWN:
        return OWN[kind]
    if kind not in CLASSES:
        raise UserError(
            f"model kind: expected one of {', '.join([*CLASSES, *OWN])}, found {kind!r}.\n"
            "Code of your own is not run because a model's folder names it: give its class to "
            "models.base.register_model first, or `score --own-model python:MODULE:CLASS`."
        )
    module, name = CLASSES[kind].split(":")
    return getattr(import_module(module), name)


def new_model(kind: str, settings: Mapping[str, Any] | Section) -> RelevanceModel:
    """An unfitted model of a kind, or of a class of your own, `python:MODULE:CLASS`, which is then a registered kind.

    Raises UserError for settings that the schema of that kind does not admit, and as `register_own` does.
    """
    if is_own(kind):
        register_own(kind)
    return _class_of(kind)(settings)


def load_model(folder: Path | str, overrides: Mapping[str, Any] | None = None) -> RelevanceModel:
    """A model that `save` wrote; `overrides` are settings to use instead of the saved ones, such as a device."""
    return _class_of(read_saved(folder)["kind"]).load(Path(folder), overrides)


def read_saved(folder: Path | str) -> dict[str, Any]:
    """`model.json` of a saved model: `kind, settings, files` and `edits` where parts were changed.

    Raises UserError where there is none, DamagedFile where one of its files is not as it was written.
    """
    path = Path(folder) / "model.json"
    if not path.is_file():
        raise UserError(
            f"model folder: expected {path}, found none. "
            "Give the folder that a fit wrote, e.g. papermill_runs/sample/finetune/joint/fold0."
        )
    saved = read_sealed_json(path)
    for name, found in saved["files"].items():
        if not (path.parent / name).is_file() or hash_file(path.parent / name) != found:
            raise DamagedFile(path.parent / name, "the file that the fit wrote", "none, or another content", REFIT)
    return saved
