"""The model that stays in memory for scoring: its base is read once for all splits, shards and fits of that base.

There is one, in this process. In 4 bits and on a CPU the adapter of another fit takes the place of the one before. In
16 bits on a GPU the adapter is merged into the weights, which saves its own matrix products; weights of 16 bits cannot
be unmerged exactly, so another adapter needs the base anew.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from competition_utils.models.decoder import load
from competition_utils.models.parts import plain
from competition_utils.storage import hash_json


@dataclass
class _Kept:
    base: str
    adapter: str
    network: Any


_kept: _Kept | None = None


def fitted_network(model: Any, weights: Path, *, merged: bool) -> Any:
    """The network of a fitted `DecoderModel`. `weights` is the folder of its adapter, or with `merged` of its whole
    checkpoint; both hold the label rows."""
    global _kept
    merging = not merged and model.choice.merges_adapter and not model.settings.sharded
    base, adapter = _base_identity(model, weights if merged else None), _stamp(weights)
    if _kept is None or _kept.base != base or (merging and _kept.adapter != adapter):
        let_go()
        _kept = _Kept(base, "", model.open(adapter=not merged).model)
    if _kept.adapter != adapter:
        _kept.adapter = ""  # if this is interrupted, it is neither the old one nor the new one
        (load.load_label_rows if merged else load.load_adapter)(_kept.network, weights)
        if merging:
            _kept.network = _kept.network.merge_and_unload()
        _kept.adapter = adapter
    return _kept.network


def let_go() -> None:
    """Give the memory back, as before a fit or for another engine."""
    global _kept
    _kept = None
    load.free_memory()


def _base_identity(model: Any, merged: Path | None) -> str:
    """What decides the base in memory: weights, number format, device, and the shape of the adapters."""
    name = str(merged or model.settings.model_name_or_path)
    facts = [name, _stamp(Path(name)), asdict(model.choice), plain(model.quantization_config), plain(model.lora_config)]
    return hash_json([*facts, merged is None])


def _stamp(folder: Path) -> str:
    """The files of a folder by size and time of change; of a model of the Hub nothing, since its name says it."""
    files = sorted(folder.glob("*")) if folder.is_dir() else []
    return hash_json([[str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns] for file in files])
