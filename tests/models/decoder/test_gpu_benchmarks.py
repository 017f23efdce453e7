"""The GPU benchmarks and the published recipes, as far as a machine without a GPU can hold them."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from tiny_decoders import needs_gpu

from competition_utils.settings.schema import DecoderSettings

ROOT = Path(__file__).parents[3]
RECIPES = ["gemma3_12b_4bit", "qwen25_14b_4bit"]


@pytest.fixture(autouse=True)
def benchmarks_can_import_each_other(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


def benchmark(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_names_a_decoder_with_settings_that_hold(name):
    recipe = yaml.safe_load((ROOT / "configs" / f"{name}.yaml").read_text(encoding="utf-8"))
    settings = DecoderSettings.model_validate(recipe["decoder"])
    assert recipe["model"] == "decoder" and settings.load_in_4bit is True and settings.learning_rate == 2e-4


@pytest.mark.skipif(torch.cuda.is_available(), reason="holds on machines without a GPU")
@pytest.mark.parametrize("name", ["finetune_gpu", "gpu_check", "scoring_gpu"])
def test_without_a_gpu_it_says_so_in_one_line_and_ends_with_2(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name])
    assert benchmark(name).main() == 2
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 1 and "needs a CUDA GPU" in printed[0]


def test_benchmark_rows_have_a_mean_length_of_about_64_tokens():
    data = benchmark("finetune_gpu")._prompts(20_000, None)
    assert np.mean([len(prompt) for prompt in data.prompts]) == pytest.approx(64, abs=2)


def test_all_ways_of_scoring_that_are_compared_give_one_score_a_pair(tmp_path):
    from random_models import build_random_model

    scoring = benchmark("scoring_gpu")
    table = scoring.pairs(96)
    model = build_random_model(tmp_path, "gemma3-tiny", [*table["query"], *table["target"]])
    arguments = SimpleNamespace(device="cpu")
    whole, facts = scoring._ours("ours, 16-bit", model, table, "cpu")
    shared, fewer = scoring._ours("ours, 16-bit, common beginning once", model, table, "cpu")
    expected = whole()
    np.testing.assert_allclose(shared(), expected, atol=1e-5)
    assert facts["tokens"] == fewer["tokens"] > fewer["computed"] > 0
    for way in scoring.OTHERS:
        run, _ = scoring._other(way, model, table, arguments)
        np.testing.assert_allclose(run(), expected[:64], atol=1e-4)


@needs_gpu
def test_figures_of_a_small_model_on_a_gpu(tmp_path):
    from random_models import build_random_model

    finetune = benchmark("finetune_gpu")
    model = build_random_model(tmp_path, "gemma3-1b", ["word"], dtype="bfloat16", device="cuda")
    arguments = ["--model", str(model), "--shapes", "gemma3-1b"]
    row = finetune.in_own_process(finetune.__file__, arguments, "unsloth")
    assert row["samples_per_second"] > 0 and row["peak_gib"] < 40
