"""What stands around a pair: the tokenizer's own chat template, and the one token that answers right after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from competition_utils.errors import UserError
from competition_utils.models.decoder.prompts.prompt import LABEL_WORDS, Prompt

PLACE = "\u2063pair\u2063"  # stands for the pair while the frame is rendered; an invisible mark no template has


@dataclass(frozen=True)
class LabelWords:
    """The two answers and their token ids, `ids[0]` for label 0 and `ids[1]` for label 1."""

    negative: str
    positive: str
    ids: tuple[int, int]


def _encode(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def find_label_words(tokenizer: Any, frame_end: str, candidates: Sequence[tuple[str, str]] = LABEL_WORDS) -> LabelWords:
    """The first (negative, positive) pair whose words are one token each right after `frame_end`.

    Raises UserError where none is.
    """
    context = _encode(tokenizer, frame_end)
    for words in candidates:
        encoded = [_encode(tokenizer, frame_end + word) for word in words]
        single = all(ids[:-1] == context and ids[-1] != tokenizer.unk_token_id for ids in encoded)
        if single and encoded[0] != encoded[1]:
            return LabelWords(*words, ids=(encoded[0][-1], encoded[1][-1]))
    tried = ", ".join("/".join(words) for words in candidates)
    raise UserError(
        "label words: expected a pair of words that this tokenizer writes as one token each, found none in "
        f"{tried}. Set `label_words` to two such words, the negative one first."
    )


def render_frame(tokenizer: Any, instruction: str, answer: str = Prompt.answer) -> tuple[str, str]:
    """The text before and after a pair: chat template, instruction and the opening of the model's turn.

    The instruction goes into a system turn (which also keeps a template's own long default out); where the
    template refuses one, into the user's turn. A tokenizer without a template gets plain text,
    with `answer` before the model's own word.
    """
    if not tokenizer.chat_template:
        return (tokenizer.bos_token or "") + (f"{instruction}\n\n" if instruction else ""), f"\n{answer}"
    with_system = [{"role": "system", "content": instruction}, {"role": "user", "content": PLACE}]
    one_turn = [{"role": "user", "content": f"{instruction}\n\n{PLACE}".lstrip()}]
    try:
        text = _render(tokenizer, with_system)
    except Exception:  # templates refuse in their own ways (jinja's raise_exception, a missing role)
        text = ""
    if instruction not in text or PLACE not in text:
        text = _render(tokenizer, one_turn)
    before, after = text.split(PLACE)
    return before, after


def _render(tokenizer: Any, messages: list[dict[str, str]]) -> str:
    # Qwen 3 would think first; templates without the switch ignore it.
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, enable_thinking=False)
