"""Scoring with 8-bit layers: what is computed, where, and that no pair depends on its neighbours."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from models.conftest import random_bert
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from competition_utils.models import compute
from competition_utils.models.base import load_model, new_model
from competition_utils.models.encoder import model as encoder_model
from competition_utils.models.encoder.int8 import TOKENS, Int8Layers, int8_forward, multiplies_int8

pytestmark = pytest.mark.skipif(not multiplies_int8(), reason="this processor has no VNNI")
WIDTH = 64
FINITE = st.floats(-100, 100, width=32, allow_subnormal=False)


@pytest.fixture(scope="module")
def layer():
    torch.manual_seed(0)
    return nn.Linear(WIDTH, WIDTH)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    sizes = {"hidden_size": WIDTH, "num_attention_heads": 2, "intermediate_size": 2 * WIDTH, "vocab_size": 100}
    return BertForSequenceClassification(BertConfig(num_hidden_layers=2, num_labels=1, **sizes)).eval()


def whole_number_product(tokens: np.ndarray, layer: nn.Linear) -> np.ndarray:
    """The same by NumPy's whole numbers of 64 bits."""
    weights, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    weight_scales = np.abs(weights).max(axis=1) / np.float32(127)
    token_scales = np.abs(tokens).max(axis=1) / np.float32(127)
    rounded = np.rint(weights / weight_scales[:, None]).astype(np.int64)
    numbers = np.rint(tokens / token_scales[:, None]).astype(np.int64)
    return (numbers @ rounded.T) * weight_scales * token_scales[:, None] + bias


@torch.inference_mode()
def compute_with(layer: nn.Linear, tokens: np.ndarray) -> np.ndarray:
    return int8_forward(layer)(torch.from_numpy(tokens)).numpy()


def test_it_is_the_product_of_whole_numbers_with_a_scale_a_token_and_a_scale_an_output(layer):
    tokens = np.random.default_rng(0).normal(size=(50, WIDTH)).astype(np.float32)
    np.testing.assert_allclose(compute_with(layer, tokens), whole_number_product(tokens, layer), atol=1e-5)


def test_the_largest_products_are_not_cut_off():
    layer = nn.Linear(WIDTH, WIDTH, bias=False)
    nn.init.ones_(layer.weight)
    tokens = np.full((3, WIDTH), 2.0, np.float32)
    np.testing.assert_allclose(compute_with(layer, tokens), 2.0 * WIDTH, rtol=1e-6)


def test_a_vector_of_zeros_gives_the_bias(layer):
    out = compute_with(layer, np.zeros((1, WIDTH), np.float32))
    np.testing.assert_array_equal(out[0], layer.bias.detach().numpy())


@settings(max_examples=50, deadline=None)
@given(tokens=arrays(np.float32, (7, WIDTH), elements=FINITE), row=st.integers(0, 6))
def test_a_token_has_the_same_output_to_the_bit_whatever_stands_beside_it(layer, tokens, row):
    alone = compute_with(layer, tokens[[row]])
    np.testing.assert_array_equal(compute_with(layer, tokens)[row], alone[0])


def test_tokens_of_several_blocks_come_out_in_their_order(layer):
    tokens = np.random.default_rng(0).normal(size=(2 * TOKENS + 1, WIDTH)).astype(np.float32)
    together, reversed_ = compute_with(layer, tokens), compute_with(layer, tokens[::-1].copy())
    np.testing.assert_array_equal(together, reversed_[::-1])


@torch.inference_mode()
def logits(network: nn.Module) -> np.ndarray:
    ids = torch.arange(24).reshape(4, 6) + 1
    return network(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.numpy()


def test_the_network_is_itself_again_behind_the_block(network):
    before = logits(network)
    with Int8Layers(network):
        within = logits(network)
    np.testing.assert_array_equal(logits(network), before)
    assert 0 < np.abs(within - before).max() < 0.01


def test_an_error_within_the_block_leaves_the_network_itself(network):
    before = logits(network)
    with pytest.raises(RuntimeError, match="within"), Int8Layers(network):
        raise RuntimeError("within")
    np.testing.assert_array_equal(logits(network), before)


def test_head_pooler_and_small_matrices_stay_in_float32(network):
    with Int8Layers(network):
        rounded = {name for name, layer in network.named_modules() if "forward" in vars(layer)}
    parts = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
    layers = (*parts, "intermediate.dense", "output.dense")
    assert rounded == {f"bert.encoder.layer.{number}.{name}" for number in range(2) for name in layers}


# In a model


@pytest.fixture(scope="module", autouse=True)
def int8_is_fastest(tmp_path_factory):
    """A processor on which 8-bit layers win each trial."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(compute, "median_seconds", lambda ways, *_: {way: 1.0 if way == "int8" else 9.0 for way in ways})
        yield


@pytest.fixture(scope="module")
def fitted(pair_maker, tmp_path_factory):
    wide = random_bert(tmp_path_factory.mktemp("wide"), WIDTH)
    choices = {"model_name_or_path": wide, "int8_scoring": True, "num_train_epochs": 1.0, "num_threads": 1}
    model = new_model("encoder", choices)
    model.fit(pair_maker(64, 0), pair_maker(64, 1), work_dir=tmp_path_factory.mktemp("work"), seed=0)
    return model


def test_a_trial_that_finds_them_fastest_chooses_them(fitted):
    assert fitted._scoring.dtype == "int8"


def test_a_row_alone_scores_as_among_others(fitted, pair_maker):
    held = pair_maker(30, 2)
    together = fitted.score(held)
    alone = np.concatenate([fitted.score(held.iloc[[row]]) for row in range(len(held))])
    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_a_saved_model_scores_with_them_again(fitted, pair_maker, tmp_path):
    held = pair_maker(30, 2)
    fitted.save(tmp_path / "saved")
    again = load_model(tmp_path / "saved")
    np.testing.assert_array_equal(again.score(held), fitted.score(held))
    assert again._scoring.dtype == "int8"


def test_a_user_who_switches_them_off_gets_another_format(fitted, tmp_path, pair_maker):
    fitted.save(tmp_path / "saved")
    without = load_model(tmp_path / "saved", {"int8_scoring": False})
    without.score(pair_maker(30, 2))
    assert without._scoring.dtype != "int8"


def test_without_the_setting_they_are_not_tried(fitted, tmp_path, pair_maker, monkeypatch):
    fitted.save(tmp_path / "saved")
    monkeypatch.setattr(encoder_model, "Int8Layers", None)  # to call it would fail
    load_model(tmp_path / "saved", {"int8_scoring": False}).score(pair_maker(30, 2))


def test_a_processor_without_vnni_is_not_asked_for_them(fitted, tmp_path, pair_maker, monkeypatch):
    monkeypatch.setattr(encoder_model, "multiplies_int8", lambda: False)
    fitted.save(tmp_path / "saved")
    model = load_model(tmp_path / "saved")
    model.score(pair_maker(30, 2))
    assert model._scoring.dtype != "int8"
