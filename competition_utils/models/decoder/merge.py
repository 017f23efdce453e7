"""A fitted decoder as one plain model, which needs no base and no adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from competition_utils.models.decoder import load
from competition_utils.models.decoder.device import DeviceChoice


def merge_adapter(name: str, adapter: Path, folder: Path, *, dtype: str, quantization: Any = None) -> None:
    """Write base model plus adapter as one plain model in `dtype`.

    An adapter that was fitted on a base in 4 bits (`quantization`) is merged into what that rounding left, as the
    adapter knows nothing else; the sum is not rounded to 4 bits again.
    """
    from peft import PeftModel

    whole = DeviceChoice("cpu", dtype, "sdpa", False, "transformers", ())
    base = load.load_base(name, whole, quantization)
    base = base if quantization is None else base.dequantize()
    PeftModel.from_pretrained(base, str(adapter)).merge_and_unload().save_pretrained(folder)
