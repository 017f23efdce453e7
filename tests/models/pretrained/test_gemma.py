"""Gemma 3 270M out of its GGUF file: tokenised as SentencePiece does, and as likely as llama.cpp finds its words."""

from __future__ import annotations

import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from models.pretrained.conftest import LANGUAGES, needs, product_names
from transformers import AutoModelForCausalLM, AutoTokenizer

from competition_utils.models.decoder.load import find_config
from competition_utils.models.pretrained import PRETRAINED
from competition_utils.models.pretrained.gemma import CONTROL, NORMAL, USER_DEFINED, merges_of, read_vocabulary

pytestmark = needs("gemma-3-270m")
PROMPT = "Translate German to English.\ngrünes Hemd für Herren = green shirt for men\nrotes Kleid für Damen ="
PROMPTS = ("The capital of France is", PROMPT, "รองเท้าวิ่งผู้ชาย", "فستان أحمر للنساء")
# Special tokens are cut out of a text before anything else, and ▁ is a blank: not laws of plain text.
PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<▁[ \n\t"))
WORDS = st.lists(PLAIN, max_size=8).map(" ".join)


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("gemma") / "gemma.gguf"
    with path.open("wb") as target:
        for part in PRETRAINED["gemma-3-270m"].source_files():
            with part.open("rb") as source:
                shutil.copyfileobj(source, target)
    return path


@pytest.fixture(scope="module")
def vocabulary(gguf_file):
    return read_vocabulary(gguf_file)


@pytest.fixture(scope="module")
def tokenizer(gemma_folder):
    return AutoTokenizer.from_pretrained(gemma_folder)


@pytest.fixture(scope="module")
def network(gemma_folder):
    return AutoModelForCausalLM.from_pretrained(gemma_folder, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def sentencepiece(vocabulary):
    """The original's tokeniser, from the same vocabulary and scores, without any merges."""
    from sentencepiece import SentencePieceProcessor
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    piece = ModelProto.SentencePiece
    kinds = {NORMAL: piece.NORMAL, CONTROL: piece.CONTROL, USER_DEFINED: piece.USER_DEFINED, 6: piece.BYTE}
    model = ModelProto()
    for token, score, kind in zip(vocabulary.tokens, vocabulary.scores, vocabulary.kinds, strict=True):
        kind = piece.UNKNOWN if token == "<unk>" else kinds[kind]
        model.pieces.add(piece=token, score=score if kind == piece.NORMAL else 0, type=kind)
    model.trainer_spec.model_type = 2  # BPE
    model.trainer_spec.byte_fallback = True
    model.trainer_spec.vocab_size = len(vocabulary.tokens)
    for place, name in enumerate(("pad", "eos", "bos", "unk")):
        setattr(model.trainer_spec, f"{name}_id", place)
        setattr(model.trainer_spec, f"{name}_piece", f"<{name}>")
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = False
    model.normalizer_spec.remove_extra_whitespaces = False
    return SentencePieceProcessor(model_proto=model.SerializeToString())


def plain_ids(tokenizer, texts: list[str]) -> list[list[int]]:
    return tokenizer(texts, add_special_tokens=False)["input_ids"]


def test_merges_are_every_split_of_a_token_into_two_of_the_vocabulary(vocabulary):
    assert len(merges_of(vocabulary)) == 513_511 + 3 * 465  # of words; of runs of 2 to 31 blanks, line ends or tabs


def test_bos_stands_in_front(tokenizer):
    assert tokenizer("shoes")["input_ids"] == [tokenizer.bos_token_id, *plain_ids(tokenizer, ["shoes"])[0]]


def test_a_base_model_has_no_chat_template(tokenizer):
    assert tokenizer.chat_template is None


def test_a_blank_is_written_before_its_word(tokenizer):
    assert tokenizer.tokenize("red dress") == ["red", "▁dress"]


def test_a_character_outside_the_vocabulary_becomes_its_bytes(tokenizer):
    assert tokenizer.tokenize("\U0001340d") == ["<0xF0>", "<0x93>", "<0x90>", "<0x8D>"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_of_products_are_tokenised_as_by_sentencepiece(tokenizer, sentencepiece, language):
    names = product_names(language)
    assert plain_ids(tokenizer, names) == sentencepiece.encode(names)


@settings(deadline=None, max_examples=200)
@given(text=WORDS)
def test_any_text_is_tokenised_as_by_sentencepiece(tokenizer, sentencepiece, text):
    assert plain_ids(tokenizer, [text]) == [sentencepiece.encode(text)]


@pytest.mark.parametrize("blank", [" ", "\n", "\t"])
@pytest.mark.parametrize("length", [1, 2, 7, 31])
def test_runs_of_blanks_are_tokenised_as_by_sentencepiece(tokenizer, sentencepiece, blank, length):
    text = f"a{blank * length}b"
    assert plain_ids(tokenizer, [text]) == [sentencepiece.encode(text)]


@settings(deadline=None, max_examples=200)
@given(text=WORDS)
def test_decoding_undoes_encoding(tokenizer, text):
    assert tokenizer.decode(plain_ids(tokenizer, [text])[0]) == text


def test_plain_english_is_as_likely_as_for_the_original(tokenizer, network):
    text = "The weather was fine this morning, so we decided to walk to the market and buy some fresh bread and cheese."
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        loss = network(ids, labels=ids).loss
    assert loss < 3  # 2.3 to 2.4; 9 with a tokenizer that cuts into characters


def test_it_translates_after_one_example(tokenizer, network):
    inputs = tokenizer(PROMPT, return_tensors="pt")
    made = network.generate(**inputs, max_new_tokens=5, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    assert tokenizer.decode(made).startswith(" red dress for women")


def test_a_decoder_finds_it_by_its_name(gemma_folder):
    assert find_config("gemma-3-270m").model_type == "gemma3_text"


@pytest.fixture(scope="module")
def engine(gguf_file):
    engines = pytest.importorskip("xllamacpp", reason="the extra [pretrained-test] (llama.cpp) is not installed")
    settings = engines.CommonParams()
    settings.model.path = str(gguf_file)
    settings.n_ctx, settings.n_parallel, settings.warmup = 256, 1, False
    return engines.Server(settings)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_next_token_is_as_likely_as_for_llama_cpp(tokenizer, network, engine, prompt):
    """llama.cpp multiplies in 8 bits, which alone makes a small difference."""
    answer = engine.handle_completions(
        {"prompt": prompt, "n_predict": 1, "n_probs": 2000, "temperature": 0, "cache_prompt": False}
    )
    ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
    assert answer["usage"]["prompt_tokens"] == ids.shape[1]
    likely = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    places = torch.tensor([token["id"] for token in likely])
    theirs = torch.tensor([token["logprob"] for token in likely], dtype=torch.float64)
    with torch.inference_mode():
        ours = network(ids).logits[0, -1].double().log_softmax(0)
    assert ours.argmax() == places[0]
    assert (theirs.exp() * (theirs - ours[places])).sum().abs() < 0.02  # Kullback-Leibler, over the likely ones
