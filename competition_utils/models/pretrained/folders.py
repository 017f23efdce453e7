"""A local folder for each model of the catalogue; conversions are done once and kept in the user's cache."""

from __future__ import annotations

import os
import shutil
import sys
from functools import cache
from pathlib import Path

from filelock import FileLock

from competition_utils.models.pretrained.catalogue import PRETRAINED, Pretrained
from competition_utils.storage import hash_json


def resolve(name: str) -> str:
    """The local folder of a name in the catalogue; any other name (of the Hub, or a folder) as it is."""
    return str(folder_of(name)) if name in PRETRAINED else name


@cache
def folder_of(name: str) -> Path:
    """The folder with config.json, safetensors and tokenizer files of a model in the catalogue.

    The first call checks the package's hash and, for a model that needs it, converts, prints the licence and keeps
    the result in the cache; later processes find it there. Raises UserError where the package is missing (with the
    command that installs it) or has another hash.
    """
    model = PRETRAINED[name]
    if model.converter is None:
        files = model.source_files()
        model.check_hash(files)
        return files[0].parent
    target = converted_folder(model)
    if not target.is_dir():
        _convert_once(model, target)
    return target


def converted_folder(model: Pretrained) -> Path:
    """Where a model's conversion lies, or will; named after its source and its converter."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    content = hash_json({"source": model.sha256, "converted_by": model.converted_by})
    return Path(root) / "competition_utils" / "pretrained" / f"{model.name}-{content[:12]}"


def _convert_once(model: Pretrained, target: Path) -> None:
    """Convert beside `target` and rename. A lock, which the system lifts when a process dies, lets one process
    work while others wait for its result; what a killed one left beside is removed by the next."""
    model.source_files()  # says what is missing before anything is created
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.part")
    with FileLock(target.with_name(f".{target.name}.lock")):
        if target.is_dir():
            return
        model.check_hash(model.source_files())
        print(f"{model.name}: converting once, into {target}. {model.notice}", file=sys.stderr)
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        try:
            model.convert_into(beside)
            _write_card(model, beside)
            beside.replace(target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _write_card(model: Pretrained, folder: Path) -> None:
    """README.md as a model card: licence, origin, and that the weights are rounded to four bits."""
    from huggingface_hub import ModelCard, ModelCardData

    known = {"MIT": "mit", "Gemma Terms of Use": "gemma"}
    data = ModelCardData(license=known[model.licence], base_model=model.hub_name, library_name="transformers")
    ModelCard(
        f"---\n{data.to_yaml()}\n---\n# {model.name}\n\n"
        f"{model.hub_name}, converted by competition-utils out of the package {model.package} "
        f"{model.package_version} (sha256 {model.sha256}). The weights were rounded to about four bits there, and "
        f"are kept here as the numbers which that rounding left.\n\n## Licence\n\n{model.licence}. {model.notice}\n"
    ).save(folder / "README.md")
