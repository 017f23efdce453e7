"""Texts to tokens, each different word once: product titles repeat their words many times over.

Tokenising word by word gives the tokenizer's own tokens only where nothing that it does reaches over a blank. That is
so for tokenizers that split at blanks before all else and normalise character by character (BERT and its like,
XLM-RoBERTa and its like); all others get their texts whole.
"""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tokenizers import Tokenizer

from competition_utils.models.scoring.ragged import Ragged

# None of these maps a character with regard to what stands behind a blank.
NORMALIZERS = {"BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Precompiled", "StripAccents"}
SPLIT_AT_BLANKS = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}
SPLIT_ON = SPLIT_AT_BLANKS | {"Digits", "Punctuation", "Metaspace"}

CALL_BYTES = 7  # a text costs the tokenizer as much as so many of its bytes, however short it is (measured)

# Some characters form one grapheme with a blank beside them, and Precompiled maps graphemes: combining marks behind
# it, prepended signs before it, and the letters listed, which Unicode counts to these. Characters beyond the first
# plane are left out as a whole. A text with such a blank stays whole.
_UNSURE = r"[\x{0D4E}\x{0E33}\x{0EB3}\x{FF9E}\x{FF9F}\x{10000}-\x{10FFFF}]"
_JOINED_BLANK = rf"(?:[^ -~\pL\pN\pM]|{_UNSURE}) | (?:[^ -~\pL\pN]|{_UNSURE})"


def tokens_of(tokenizer: Tokenizer, texts: pa.Array) -> Ragged:
    """The tokens of each text without special tokens, as `tokenizer.encode` gives them, text by text."""
    if not goes_word_by_word(tokenizer):
        return _encoded(tokenizer, texts)
    whole = pc.match_substring_regex(texts, _JOINED_BLANK)
    words = pc.split_pattern(texts.filter(pc.invert(whole)), " ")
    pieces = pa.concat_arrays([words.flatten(), texts.filter(whole)]).dictionary_encode()
    if _cost(pieces.dictionary) > _cost(texts):
        return _encoded(tokenizer, texts)
    counts = np.concatenate([pc.list_value_length(words), np.ones(pc.sum(whole).as_py() or 0, dtype=np.int64)])
    joined = _encoded(tokenizer, pieces.dictionary).take(pieces.indices.to_numpy()).joined(counts)
    return joined.take(np.argsort(np.argsort(whole.to_numpy(zero_copy_only=False), kind="stable")))


def _cost(texts: pa.Array) -> int:
    """What tokenising each of `texts` costs, counted in bytes of text."""
    return (pc.sum(pc.binary_length(texts)).as_py() or 0) + CALL_BYTES * len(texts)


def goes_word_by_word(tokenizer: Tokenizer) -> bool:
    """Whether the tokens of a text are provably those of its words, one after the other."""
    normalizers, splitters = _parts(tokenizer.normalizer), _parts(tokenizer.pre_tokenizer)
    return (
        all(part["type"] in NORMALIZERS for part in normalizers)
        and bool(splitters)
        and splitters[0]["type"] in SPLIT_AT_BLANKS
        and all(part["type"] in SPLIT_ON for part in splitters)
        and all(part.get("prepend_scheme") != "first" for part in splitters)
        and _keeps_blanks(tokenizer)
        and not _is_random(tokenizer.model)
    )


def _parts(component) -> list[dict]:
    """The settings of a normalizer or pre-tokenizer; of each of its parts where it is a sequence."""
    if component is None:
        return []
    state = json.loads(component.__getstate__())
    return state.get("normalizers") or state.get("pretokenizers") or [state]


def _keeps_blanks(tokenizer: Tokenizer) -> bool:
    """A blank stays one, and no added token has one in it."""
    added = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    normalize = tokenizer.normalizer.normalize_str if tokenizer.normalizer else str
    spelt = added + [normalize(content) for content in added]
    return normalize("a b") == "a b" and not any(any(map(str.isspace, content)) for content in spelt)


def _is_random(model) -> bool:
    """Subword regularisation: tokens are drawn anew for each occurrence of a word."""
    return bool(getattr(model, "dropout", None) or getattr(model, "alpha", None) or getattr(model, "nbest_size", None))


def _encoded(tokenizer: Tokenizer, texts: pa.Array) -> Ragged:
    encodings = tokenizer.encode_batch_fast(texts.to_pylist(), add_special_tokens=False)
    lengths = np.fromiter(map(len, encodings), dtype=np.int64, count=len(encodings))
    return Ragged.from_iterable((encoding.ids for encoding in encodings), lengths)
