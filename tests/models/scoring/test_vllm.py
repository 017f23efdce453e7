"""vLLM's part, played by a stand-in with its interface: what it is asked, and what becomes of its answers.

The real package needs a GPU and has not been run with this.
"""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_decoders import build_tiny, toy_pairs, toy_settings

from competition_utils.errors import UserError
from competition_utils.models.decoder.model import DecoderModel
from competition_utils.models.scoring import vllm as vllm_score


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return build_tiny(tmp_path_factory.mktemp("qwen2"), "qwen2")


@pytest.fixture
def vllm(monkeypatch):
    """A package `vllm` whose LLM computes with transformers and PEFT, over the whole vocabulary, row by row."""
    calls = SimpleNamespace(engines=[], adapters=[], sampling=[])

    class LLM:
        def __init__(self, model, **options):
            from transformers import AutoModelForCausalLM

            calls.engines.append(options)
            self.network = AutoModelForCausalLM.from_pretrained(model).eval()

        def generate(self, inputs, sampling, *, use_tqdm, lora_request=None):
            calls.adapters.append(lora_request and lora_request.lora_path)
            calls.sampling.append(sampling)
            network = self.network
            if lora_request:
                from peft import PeftModel

                network = PeftModel.from_pretrained(network, lora_request.lora_path)
            return [self.answer(network, each["prompt_token_ids"], sampling) for each in inputs]

        @torch.no_grad()
        def answer(self, network, prompt, sampling):
            logits = network(input_ids=torch.tensor([prompt])).logits[0, -1]
            allowed = sampling.allowed_token_ids
            logprobs = torch.log_softmax(logits[allowed], dim=0)
            values = {token: SimpleNamespace(logprob=float(p)) for token, p in zip(allowed, logprobs, strict=True)}
            return SimpleNamespace(outputs=[SimpleNamespace(logprobs=[values])])

    package, requests = ModuleType("vllm"), ModuleType("vllm.lora.request")
    package.LLM, package.SamplingParams = LLM, SimpleNamespace
    requests.LoRARequest = lambda name, number, path: SimpleNamespace(lora_path=path)
    for name, module in {"vllm": package, "vllm.lora": ModuleType("vllm.lora"), "vllm.lora.request": requests}.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(vllm_score, "find_spec", lambda name: True)
    return calls


@pytest.fixture(scope="module")
def fitted(model, tmp_path_factory):
    decoder = DecoderModel(toy_settings(model, num_train_epochs=1))
    decoder.fit(toy_pairs(64), toy_pairs(16, 1), work_dir=tmp_path_factory.mktemp("fit"), seed=0)
    return decoder


def through_vllm(decoder):
    other = DecoderModel(decoder.settings.model_dump() | {"score_engine": "vllm"})
    other.folder = decoder.folder
    return other


def test_scores_through_vllm_are_those_of_the_own_engine(fitted, vllm):
    pairs = toy_pairs(24, 3)
    np.testing.assert_allclose(through_vllm(fitted).score(pairs), fitted.score(pairs), atol=1e-4)
    assert vllm.adapters == [str(fitted.folder / "adapter")]


def test_a_merged_model_needs_no_adapter_in_vllm(fitted, vllm, tmp_path):
    merged, pairs = fitted.merge(tmp_path, dtype="float32"), toy_pairs(24, 3)
    np.testing.assert_allclose(through_vllm(merged).score(pairs), merged.score(pairs), atol=1e-4)
    assert vllm.adapters == [None]
    assert "enable_lora" not in vllm.engines[0]


def test_one_token_is_asked_for_out_of_the_two_label_words(fitted, vllm):
    decoder = through_vllm(fitted)
    decoder.score(toy_pairs(4))
    decoder.score(toy_pairs(4, 1))
    assert len(vllm.engines) == 1  # loaded once
    assert vllm.engines[0]["enable_prefix_caching"] and vllm.engines[0]["logprobs_mode"] == "processed_logprobs"
    assert vllm.sampling[0].max_tokens == 1 and len(vllm.sampling[0].allowed_token_ids) == 2


def test_a_missing_package_is_reported_with_what_to_do(fitted):
    with pytest.raises(UserError, match=r"package vllm, found none.*score_engine: own"):
        through_vllm(fitted).score(toy_pairs(4))


def test_trained_label_rows_are_refused_before_anything_runs(model):
    with pytest.raises(UserError) as error:
        DecoderModel(toy_settings(model, objective="head", score_engine="vllm"))
    assert "score_engine" in str(error.value)


def test_an_adapter_larger_than_vllm_takes_is_an_error():
    assert vllm_score._rank_set_aside(24) == 32
    with pytest.raises(UserError, match="rank 512, found 600"):
        vllm_score._rank_set_aside(600)
