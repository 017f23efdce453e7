"""What an encoder sees of a pair, distinguished token by token."""

import pandas as pd
import pytest

from competition_utils.models.base import new_model
from competition_utils.models.encoder.tokens import input_texts, token_parts

PAIRS = pd.DataFrame(
    {"query": ["zapato rojo", "shoe"], "query_en": ["red shoe", ""], "target": ["shoes > red", "lamp"]}
)


@pytest.fixture(scope="module")
def model(tiny_encoder):
    return new_model("encoder", {"model_name_or_path": tiny_encoder})


@pytest.mark.parametrize(
    ("input_text", "first"),
    [
        ("english", ["red shoe", "shoe"]),
        ("original", ["zapato rojo", "shoe"]),
        ("both", ["zapato rojo – red shoe", "shoe"]),
    ],
)
def test_what_is_read_of_a_query_and_the_original_where_there_is_no_translation(input_text, first):
    assert input_texts(PAIRS, input_text)[0].tolist() == first


@pytest.mark.parametrize(("input_text", "second"), [("english", "red lamp"), ("original", "lampu"), ("both", "lampu")])
def test_the_english_of_a_title_is_read_with_english_only(input_text, second):
    pairs = PAIRS.head(1).assign(target="lampu", target_en="red lamp")
    assert input_texts(pairs, input_text)[1].tolist() == [second]


def test_a_translation_is_known_as_one_where_it_stands_instead_of_the_query(model):
    parts = model.token_parts(PAIRS)
    by_part = parts[parts["part"] != "frame"].groupby(["pair", "part"])["token"].apply("".join)
    assert by_part.to_dict() == {
        (0, "translation"): "red shoe", (0, "target"): "shoes > red", (1, "query"): "shoe", (1, "target"): "lamp",
    }  # fmt: skip


def test_each_token_knows_where_it_comes_from(tiny_encoder):
    parts = new_model("encoder", {"model_name_or_path": tiny_encoder, "input_text": "both"}).token_parts(PAIRS)
    by_part = parts[parts["pair"] == 0].groupby("part")["token"].apply("".join)
    assert by_part.to_dict() == {
        "query": "zapato rojo", "translation": " red shoe", "target": "shoes > red", "frame": "[CLS] –[SEP][SEP]",
    }  # fmt: skip
    assert "translation" not in set(parts.loc[parts["pair"] == 1, "part"])


@pytest.mark.parametrize("max_length", [16, 20])
def test_what_is_not_cut_is_what_the_model_gets(model, max_length):
    pairs = PAIRS.assign(target="a long title of very many words " * 3, query="many words too " * 5)
    parts = token_parts(model.tokenizer, pairs, max_length)
    kept = parts[parts["part"] != "cut"].groupby("pair").size()
    assert (
        kept.tolist()
        == new_model("encoder", {**model.settings.model_dump(), "max_length": max_length})
        .tokenise(pairs)
        .lengths.tolist()
        == [max_length] * 2
    )
    assert parts.groupby("pair").size().min() > max_length


HINTED = PAIRS.assign(category_hint=["same none none 9 shoes", ""])


@pytest.mark.parametrize(("input_text", "first"), [("english", "red shoe"), ("both", "zapato rojo – red shoe")])
def test_a_hint_is_read_behind_the_query(input_text, first):
    assert input_texts(HINTED, input_text)[0].tolist() == [f"{first} | same none none 9 shoes", "shoe"]


@pytest.mark.parametrize("input_text", ["english", "both"])
def test_a_hint_is_known_as_one(tiny_encoder, input_text):
    fitter = new_model("encoder", {"model_name_or_path": tiny_encoder, "input_text": input_text})
    parts = fitter.token_parts(HINTED)
    by_part = parts[parts["pair"] == 0].groupby("part")["token"].apply("".join).str.strip()
    assert by_part["hint"] == "same none none 9 shoes"
    assert by_part["translation"] == "red shoe"
    assert "hint" not in set(parts.loc[parts["pair"] == 1, "part"])
