"""What stage `augmentation` needs of the models, which come after it: handed down from here, since a room imports only
from rooms before it.
"""

from __future__ import annotations

from typing import Any

from competition_utils.models.base import RelevanceModel, new_model
from competition_utils.models.decoder import load as decoder_load
from competition_utils.settings.schema import DecoderSettings

JUDGE = "linear"


def new_judge() -> RelevanceModel:
    """An unfitted model for the step `self_validate`: one that fits in seconds on a CPU."""
    return new_model(JUDGE, {})


def load_instruct(name: str, four_bit: bool | str) -> tuple[Any, Any]:
    """Tokenizer and causal language model that write translations, on the device that suits; says which and why.

    `four_bit` is a decoder's setting: True, False or "auto" (on CUDA where bitsandbytes is installed). Raises UserError
    where there is no such model, or it cannot be had in 4-bit.
    """
    # Not through Unsloth: it patches training and its own way of scoring, and gains little for short answers.
    settings = DecoderSettings.model_validate(
        {"model_name_or_path": name, "load_in_4bit": four_bit, "backend": "transformers"}
    )
    choice = decoder_load.prepare(settings)
    print(f"{name}: {choice}.")
    return decoder_load.load_tokenizer(name), decoder_load.load_base(name, choice)
