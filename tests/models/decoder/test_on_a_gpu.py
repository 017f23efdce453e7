"""What a machine with a GPU does, with stand-ins for the card: fitted through Unsloth in a child, scored here."""

import dataclasses
import os
import stat
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from tiny_decoders import build_tiny, toy_pairs, toy_settings

from competition_utils.errors import UserError
from competition_utils.models.base import load_model
from competition_utils.models.compute import Compute
from competition_utils.models.decoder import device, launch, load, resident
from competition_utils.models.decoder import model as decoder_model
from competition_utils.models.decoder.device import DeviceChoice, Machine, choose_device, look_at_machine
from competition_utils.models.decoder.load import Decoder
from competition_utils.models.decoder.model import DecoderModel
from competition_utils.models.decoder.score import score_decoder, score_prompts
from competition_utils.models.scoring.engine import TokenBudget
from competition_utils.settings.schema import DecoderSettings

H100 = Machine(1, "NVIDIA H100", (9, 0), 80.0, frozenset({"unsloth", "bitsandbytes"}))
CPU_CHOICE = DeviceChoice("cpu", "float32", "sdpa", False, "transformers", ())


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return build_tiny(tmp_path_factory.mktemp("base"), "gemma3")


@pytest.fixture(scope="module")
def folds(base, tmp_path_factory):
    """Two fitted models of one base, with different adapters."""
    folders = [tmp_path_factory.mktemp(name) for name in ("fold0", "fold1")]
    for seed, folder in enumerate(folders):
        model = DecoderModel(toy_settings(base, num_train_epochs=1, device="cpu"))
        model.fit(toy_pairs(32, seed), toy_pairs(16, 5), work_dir=folder / "work", seed=seed)
        model.save(folder / "model")
    return [folder / "model" for folder in folders]


@pytest.fixture
def card(monkeypatch):
    """This machine looks like one with an H100, and what would run there runs on the CPU; gives a list of the models
    that are loaded."""
    loaded, own = [], load.load_base
    monkeypatch.setattr(decoder_model, "look_at_machine", lambda: H100)
    monkeypatch.setattr(load, "prepare", lambda settings: dataclasses.replace(CPU_CHOICE, backend=settings.backend))
    monkeypatch.setattr(
        load, "load_base", lambda name, *rest, **others: loaded.append(name) or own(name, *rest, **others)
    )
    resident.let_go()
    return loaded


def on_any_device(folder):
    return load_model(folder, {"device": "auto"})


def test_a_fit_runs_in_a_child_where_unsloth_is_taken(card, base, tmp_path, monkeypatch):
    jobs = []
    monkeypatch.setattr(launch, "fit_in_children", lambda *_, **__: jobs.append("fit"))
    DecoderModel(toy_settings(base, device="auto")).fit(toy_pairs(16), toy_pairs(8), work_dir=tmp_path, seed=0)
    assert jobs == ["fit"] and not card


def test_scoring_starts_no_process_and_goes_through_transformers(card, folds, monkeypatch):
    monkeypatch.setattr(launch, "_run", lambda *_: pytest.fail("a child was started"))
    model = on_any_device(folds[0])
    assert len(model.score(toy_pairs(8, 3))) == 8
    assert model.choice.backend == "transformers"


def test_several_gpus_score_in_children_through_transformers(folds, monkeypatch):
    jobs = []
    monkeypatch.setattr(launch, "_run", lambda job, *_: jobs.append(job))
    with pytest.raises(FileNotFoundError):  # of the scores, which nobody wrote
        load_model(folds[0], {"num_processes": 2, "backend": "auto"}).score(toy_pairs(4))
    assert [job["settings"]["backend"] for job in jobs] == ["transformers"]


def test_the_base_is_loaded_once_for_all_splits_and_folds(card, folds):
    splits = [toy_pairs(12, seed) for seed in (3, 4)]
    found = [on_any_device(folder).score(split) for folder in folds for split in splits]
    assert len(card) == 1
    for folder, scores in zip(folds, (found[:2], found[2:]), strict=True):
        resident.let_go()
        fresh = on_any_device(folder)
        for split, expected in zip(splits, scores, strict=True):
            np.testing.assert_array_equal(fresh.score(split), expected)
    assert np.abs(found[0] - found[2]).max() > 1e-3


def test_two_models_may_score_by_turns(card, folds):
    one, other = (on_any_device(folder) for folder in folds)
    pairs = toy_pairs(12, 3)
    first = one.score(pairs)
    other.score(pairs)
    np.testing.assert_array_equal(one.score(pairs), first)


def test_a_fit_gives_the_memory_of_the_scoring_model_back(card, folds, base, tmp_path, monkeypatch):
    on_any_device(folds[0]).score(toy_pairs(8, 3))
    monkeypatch.setattr(launch, "fit_in_children", lambda *_, **__: None)
    DecoderModel(toy_settings(base, device="auto")).fit(toy_pairs(16), toy_pairs(8), work_dir=tmp_path, seed=0)
    assert resident._kept is None


@pytest.mark.parametrize(("four_bit", "merges"), [(False, True), (True, False)])
def test_adapters_are_merged_in_16_bits_on_a_gpu_alone(four_bit, merges):
    assert choose_device(H100, family="qwen2", load_in_4bit=four_bit).merges_adapter is merges
    assert not CPU_CHOICE.merges_adapter


def test_a_merged_model_scores_as_the_unmerged_one_and_each_adapter_gets_a_fresh_base(card, folds, monkeypatch):
    pairs = toy_pairs(24, 3)
    unmerged = [on_any_device(folder).score(pairs) for folder in folds]
    resident.let_go()
    card.clear()
    monkeypatch.setattr(DeviceChoice, "merges_adapter", True)
    for folder, expected in zip(folds, unmerged, strict=True):
        model = on_any_device(folder)
        np.testing.assert_allclose(model.score(pairs), expected, atol=1e-5)
        assert not any("lora" in name for name, _ in model.fitted_decoder().model.named_modules())
    assert len(card) == 2


# What the engine decides


class NoForeignCache(torch.nn.Module):
    """A model whose attention takes no keys from elsewhere, like Unsloth's Qwen 2, with its embedding elsewhere."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Parameter(torch.zeros(1, device="meta"))
        self.label_rows = torch.nn.Parameter(torch.zeros(2, 4))

    def forward(self, input_ids, past_key_values=None, **_):
        if past_key_values is not None:
            raise TypeError("'DynamicCache' object is not subscriptable")
        assert input_ids.device == self.label_rows.device
        return {"logits": torch.zeros(len(input_ids), 2)}


@pytest.mark.parametrize("share_prefix", ["auto", True])
def test_unsloths_model_is_never_given_a_shared_beginning(share_prefix):
    settings = DecoderSettings.model_validate({"share_prefix": share_prefix})
    choice = dataclasses.replace(CPU_CHOICE, backend="unsloth")
    decoder = Decoder(NoForeignCache(), SimpleNamespace(pad_token_id=0), None, choice)
    prompts = [[*range(1, 20), last] for last in range(100)]
    scores = score_decoder(decoder, prompts, settings, TokenBudget(1024), Compute("cpu", "float32"))
    np.testing.assert_allclose(scores, 0.5)


def test_batches_go_to_where_the_label_rows_are_even_if_the_embedding_is_elsewhere():
    assert len(score_prompts(NoForeignCache(), [[1, 2], [3]], pad_id=0, budget=TokenBudget(512))) == 2


# What would go wrong in silence


def nvidia_smi(folder, monkeypatch, text="GPU 0: Tesla T4 (UUID: x)", status=0):
    script = folder / "nvidia-smi"
    script.write_text(f"#!/bin/sh\necho '{text}'\nexit {status}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_a_card_that_the_driver_sees_and_torch_does_not_is_an_error_not_a_fit_on_the_cpu(tmp_path, monkeypatch):
    nvidia_smi(tmp_path, monkeypatch)
    with pytest.raises(UserError, match=r"Tesla T4.*driver.*device: cpu"):
        choose_device(look_at_machine(), family="qwen2")
    assert choose_device(look_at_machine(), family="qwen2", device="cpu").device == "cpu"


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_cards_that_the_user_hides_are_not_missed(hidden, tmp_path, monkeypatch):
    nvidia_smi(tmp_path, monkeypatch)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert choose_device(look_at_machine(), family="qwen2").device == "cpu"


def test_an_nvidia_smi_that_finds_no_driver_is_no_card(tmp_path, monkeypatch):
    nvidia_smi(tmp_path, monkeypatch, "NVIDIA-SMI has failed", status=9)
    assert choose_device(look_at_machine(), family="qwen2").device == "cpu"


def test_a_model_that_was_to_be_in_4_bits_and_is_not_is_an_error(base, monkeypatch):
    choice = dataclasses.replace(CPU_CHOICE, load_in_4bit=True)
    plain = load.load_base(str(base), CPU_CHOICE)
    monkeypatch.setattr(load, "_load_plain", lambda *_: plain)
    with pytest.raises(UserError, match=r"load_in_4bit.*bitsandbytes"):
        load.load_base(str(base), choice)


class FastModel:
    """Stands in for Unsloth's loader where bitsandbytes fails: it loads, in 16 bits, and does not stop."""

    asked: ClassVar[dict] = {}

    @staticmethod
    def from_pretrained(*_, **options):
        FastModel.asked = options
        return torch.nn.Linear(2, 2), None


def test_unsloth_is_asked_to_keep_the_embedding_on_the_card(base, monkeypatch):
    monkeypatch.setattr(load, "_unsloth_loader", lambda _: FastModel)
    load.load_base(str(base), dataclasses.replace(CPU_CHOICE, backend="unsloth"))
    assert FastModel.asked["offload_embedding"] is False


def test_16_bits_that_unsloth_loads_instead_of_4_are_an_error(base, monkeypatch):
    monkeypatch.setattr(load, "_unsloth_loader", lambda _: FastModel)
    with pytest.raises(UserError, match=r"load_in_4bit.*bitsandbytes"):
        load.load_base(str(base), dataclasses.replace(CPU_CHOICE, backend="unsloth", load_in_4bit=True))


def test_on_a_t4_it_says_which_models_are_faster_there():
    t4 = Machine(1, "Tesla T4", (7, 5), 15.0, frozenset({"unsloth"}))
    assert "Qwen 2.5" in str(choose_device(t4, family="gemma3_text"))
    assert "Qwen 2.5" not in str(choose_device(t4, family="qwen2"))
    assert device.choose_device(t4, family="qwen2").dtype == "float16"
