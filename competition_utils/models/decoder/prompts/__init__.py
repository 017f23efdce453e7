"""What a decoder is asked about a pair, and how that becomes tokens.

The prompt is data: one instruction a task or none, then a line for each thing known of the pair. The tokenizer's own
chat template frames it, and the answer is one label word that is a single token right after that frame.
"""

from competition_utils.models.decoder.prompts.frame import LabelWords, find_label_words, render_frame
from competition_utils.models.decoder.prompts.prompt import INSTRUCTIONS, LABEL_WORDS, Prompt
from competition_utils.models.decoder.prompts.writer import (
    LengthReport,
    Prompts,
    PromptWriter,
    language_names,
    spell_out_levels,
)

__all__ = [
    "INSTRUCTIONS",
    "LABEL_WORDS",
    "LabelWords",
    "LengthReport",
    "Prompt",
    "PromptWriter",
    "Prompts",
    "find_label_words",
    "language_names",
    "render_frame",
    "spell_out_levels",
]
