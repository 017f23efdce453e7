"""A decoder as a relevance model: it learns, is saved, reloaded, merged, and scores each pair by itself."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_decoders import FAMILIES, build_tiny, needs_gpu, toy_pairs, toy_settings

from competition_utils.errors import UserError
from competition_utils.f1 import best_f1
from competition_utils.models.base import load_model, new_model
from competition_utils.models.decoder import load as decoder_load
from competition_utils.models.decoder.model import DecoderModel
from competition_utils.models.decoder.prompts import PromptWriter
from competition_utils.models.decoder.score import score_prompts
from competition_utils.models.scoring.engine import TokenBudget
from competition_utils.models.scoring.prompt_batches import join_prompts

WAYS = [(family, objective) for family in FAMILIES for objective in ("label_token", "head")]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return {family: build_tiny(tmp_path_factory.mktemp(family), family) for family in FAMILIES}


@pytest.fixture(scope="module")
def fitted(models, tmp_path_factory):
    """family, objective → a decoder that has learnt the toy task; each is fitted once."""
    known = {}

    def get(family, objective):
        if (family, objective) not in known:
            decoder = new_model("decoder", toy_settings(models[family], objective=objective))
            folder = tmp_path_factory.mktemp("fit")
            decoder.fit(toy_pairs(320), toy_pairs(64, 1), work_dir=folder, seed=0)
            known[family, objective] = decoder
        return known[family, objective]

    return get


# Learning and keeping


@pytest.mark.parametrize(("family", "objective"), WAYS)
def test_a_random_model_learns_a_separable_task(fitted, family, objective):
    unseen = toy_pairs(96, 2)
    scores = fitted(family, objective).score(unseen)
    assert scores.dtype == np.float32 and ((scores >= 0) & (scores <= 1)).all()
    assert best_f1(unseen["label"].to_numpy(), scores) >= 0.95


@pytest.mark.parametrize(("family", "objective"), WAYS)
def test_a_saved_model_scores_as_before(fitted, tmp_path, family, objective):
    pairs = toy_pairs(32, 2)
    fitted(family, objective).save(tmp_path)
    loaded = load_model(tmp_path)
    np.testing.assert_allclose(loaded.score(pairs), fitted(family, objective).score(pairs), atol=1e-6)


@pytest.mark.parametrize(("family", "objective"), WAYS)
def test_a_merged_model_scores_as_before(fitted, tmp_path, family, objective):
    pairs, decoder = toy_pairs(32, 2), fitted(family, objective)
    merged = decoder.merge(tmp_path / "float32", dtype="float32")
    np.testing.assert_allclose(merged.score(pairs), decoder.score(pairs), atol=1e-4)
    half = decoder.merge(tmp_path / "bfloat16")
    np.testing.assert_allclose(half.score(pairs), decoder.score(pairs), atol=1e-2)


def test_a_merged_model_is_a_plain_checkpoint(fitted, tmp_path):
    from transformers import AutoModelForCausalLM

    fitted("qwen2", "label_token").merge(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert model.dtype == torch.bfloat16


def test_a_folder_holds_no_pickle_and_a_card_with_data_settings_and_scores(fitted, tmp_path):
    fitted("qwen2", "head").save(tmp_path)
    names = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert names <= {".json", ".md", ".safetensors", ".jinja"}
    card = (tmp_path / "README.md").read_text()
    facts = json.loads((tmp_path / "decoder.json").read_text())
    assert facts["data_sha256"] in card and "| learning_rate | 0.0050 |" in card and "| valid_f1 |" in card


def test_history_has_loss_and_f1_by_step(fitted):
    report = json.loads((fitted("qwen2", "head").folder / "report.json").read_text())
    history = pd.DataFrame(report["history"])
    assert {"stage", "step", "epoch", "loss", "learning_rate", "valid_f1", "valid_auc", "valid_loss"} == set(history)


# Each pair by itself


@pytest.mark.parametrize(("family", "objective"), WAYS)
def test_one_row_alone_scores_as_in_a_batch(fitted, family, objective):
    pairs, decoder = toy_pairs(24, 3), fitted(family, objective)
    alone = np.concatenate([decoder.score(pairs.iloc[[row]]) for row in range(6)])
    np.testing.assert_allclose(alone, decoder.score(pairs)[:6], atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_left_right_and_no_padding_agree(fitted, family):
    decoder = fitted(family, "label_token")
    loaded = decoder.fitted_decoder()
    prompts = loaded.writer.write(toy_pairs(24, 3)).ids
    pad_id, budget = loaded.tokenizer.pad_token_id, TokenBudget(10**6)
    sides = [
        score_prompts(loaded.model, prompts, pad_id=pad_id, budget=budget, side=side) for side in ("left", "right")
    ]
    joined = {name: torch.from_numpy(values) for name, values in join_prompts(prompts).items()}
    with torch.inference_mode():
        logits = loaded.model.eval()(**joined)["logits"]
    np.testing.assert_allclose(sides[0], sides[1], atol=1e-5)
    np.testing.assert_allclose(torch.sigmoid(logits[:, 1] - logits[:, 0]), sides[1], atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_beginning_computed_once_gives_the_scores_of_whole_prompts(fitted, family):
    """Gemma's tiny window of 16 tokens is shorter than the beginning: every layer must still see what it should."""
    decoder = fitted(family, "head")
    loaded = decoder.fitted_decoder()
    prompts = loaded.writer.write(toy_pairs(60, 3)).ids
    options = {"pad_id": loaded.tokenizer.pad_token_id, "budget": TokenBudget(600)}
    whole = score_prompts(loaded.model, prompts, **options)
    shared = score_prompts(loaded.model, prompts, **options, share_prefix=True)
    np.testing.assert_allclose(shared, whole, atol=1e-5)


def test_whether_a_common_beginning_pays_is_tried_once_and_reported(fitted, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    decoder, pairs = fitted("qwen2", "head"), toy_pairs(400, 5).drop_duplicates(["query", "target", "language"])
    first = decoder.score(pairs)
    printed = capsys.readouterr().out
    second = decoder.score(pairs)
    assert printed.startswith("scoring: the prompts' common ") and "when tried" in printed
    assert capsys.readouterr().out == printed  # the same figure: cached, not tried again
    np.testing.assert_array_equal(first, second)


def test_rows_alike_are_computed_once(fitted, monkeypatch):
    decoder, pairs = fitted("qwen2", "head"), toy_pairs(12, 6)
    twice = pd.concat([pairs, pairs.assign(label=1 - pairs["label"])])
    written, write = [], PromptWriter.write
    monkeypatch.setattr(PromptWriter, "write", lambda writer, rows: written.append(len(rows)) or write(writer, rows))
    scores = decoder.score(twice)
    assert written == [len(pairs.drop(columns="label").drop_duplicates())]
    np.testing.assert_array_equal(scores[:12], scores[12:])


def test_a_column_that_every_model_may_read_can_be_a_line_of_the_prompt_too(fitted, monkeypatch):
    decoder = fitted("gemma3", "label_token")
    monkeypatch.setattr(decoder.prompt, "tags", ["category_hint"])
    pairs = toy_pairs(8, 2)
    scores = [decoder.score(pairs.assign(category_hint=hint)) for hint in ("same none none 9 x", "")]
    assert not np.allclose(*scores)


def test_scores_are_in_the_order_of_the_rows(fitted):
    pairs, decoder = toy_pairs(40, 4), fitted("qwen2", "head")
    shuffled = pairs.sample(frac=1, random_state=0)
    expected = pd.Series(decoder.score(pairs), index=pairs.index).loc[shuffled.index]
    np.testing.assert_allclose(decoder.score(shuffled), expected, atol=1e-5)


# Other forms of a model


# Number format of the base → how far the scores of the model that was fitted may lie from those after a reload, after a
# merge in float32, and after one in bfloat16, which rounds the sum of base and adapter.
FORMATS = {
    # bitsandbytes repacks weights on a CPU with AVX512-BF16 once evaluated, which rounds their scales.
    "4 bits": ({"load_in_4bit": True}, (1e-2, 1e-2, 0.1)),
    "16 bits": ({"dtype": "bfloat16"}, (1e-6, 0.05, 0.05)),
}


@pytest.mark.parametrize(("wishes", "tolerances"), FORMATS.values(), ids=FORMATS)
def test_saved_reloaded_and_merged_it_scores_as_it_did_when_fitted(models, tmp_path, wishes, tolerances):
    fitted = DecoderModel(toy_settings(models["gemma3"], prompt="short", num_train_epochs=1, **wishes))
    fitted.fit(toy_pairs(160), toy_pairs(32, 1), work_dir=tmp_path / "fit", seed=0)
    fitted.save(tmp_path / "saved")
    unseen = toy_pairs(64, 2)
    scores = fitted.score(unseen)
    again = [DecoderModel.load(tmp_path / "saved")]
    again += [fitted.merge(tmp_path / dtype, dtype=dtype) for dtype in ("float32", "bfloat16")]
    assert scores.std() > 0.2  # it has learnt something that could get lost
    for model, tolerance in zip(again, tolerances, strict=True):
        np.testing.assert_allclose(model.score(unseen), scores, atol=tolerance)


def test_bfloat16_scores_as_float32_within_a_hundredth(fitted, models, tmp_path):
    decoder = fitted("gemma3", "label_token")
    decoder.save(tmp_path)
    half = DecoderModel(decoder.settings.model_dump() | {"dtype": "bfloat16"})
    half.folder = tmp_path
    pairs = toy_pairs(32, 2)
    np.testing.assert_allclose(half.score(pairs), decoder.score(pairs), atol=1e-2)


@pytest.mark.parametrize("naming", ["as saved", "as on the Hub"])
def test_the_text_part_of_a_multimodal_gemma_3_is_taken(models, tmp_path, naming):
    expected = DecoderModel(toy_settings(models["gemma3"])).open()
    folder = _multimodal(models["gemma3"], tmp_path, old_names=naming == "as on the Hub")
    decoder = DecoderModel(toy_settings(folder)).open()
    assert type(decoder_load.base_of(decoder.model)).__name__ == "Gemma3ForCausalLM"
    prompts = expected.writer.write(toy_pairs(4)).ids
    budget = TokenBudget(4096)
    first, second = (score_prompts(one.model, prompts, pad_id=0, budget=budget) for one in (expected, decoder))
    np.testing.assert_allclose(first, second, atol=1e-6)


def _multimodal(text_model, folder, *, old_names):
    """A tiny Gemma 3 with a vision tower whose text weights are those of `text_model`."""
    from transformers import AutoTokenizer, Gemma3Config, Gemma3ForCausalLM, Gemma3ForConditionalGeneration

    text = Gemma3ForCausalLM.from_pretrained(text_model)
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = Gemma3Config(
        text_config=text.config.to_dict(),
        vision_config=vision | {"image_size": 28, "patch_size": 14},
        mm_tokens_per_image=4,
        tie_word_embeddings=True,
    )
    model = Gemma3ForConditionalGeneration(config)
    model.model.language_model.load_state_dict(text.model.state_dict())
    model.tie_weights()
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(text_model).save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    swapped = ("language_model.model.", "model.language_model.") if not old_names else None
    if old_names:
        swapped = ("model.language_model.", "language_model.model.")
    renamed = {name.replace(*swapped): tensor for name, tensor in weights.items()}
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


# Errors and warnings


def test_all_faults_of_the_settings_are_reported_together():
    with pytest.raises(UserError) as error:
        new_model("decoder", {"lora_rnk": 8, "objective": "heads", "learning_rate": -1, "load_in_4bit": 1})
    text = str(error.value)
    for part in (
        "decoder: 4 wrong",
        "lora_rnk: no such setting (did you mean lora_r?)",
        "objective: expected 'label_token' or 'head', found 'heads'",
        "learning_rate: expected greater than 0, found -1",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"total_batch_size": 30, "num_processes": 4}, "multiple of num_processes = 4"),
        ({"total_batch_size": 32, "per_device_train_batch_size": 5}, "divisor of 32"),
        ({"label_words": ["yes"]}, "two words or none"),
        ({"report_to": ["mlflow"]}, "trackio"),
        ({"class_weights": [1]}, "two weights"),
        ({"num_train_epochs": True}, "a valid number"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_was_expected(wrong, expected):
    with pytest.raises(UserError, match=expected):
        DecoderModel(wrong)


def test_an_unknown_model_is_an_error_without_traceback(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    decoder = DecoderModel(toy_settings(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="nowhere"):
        decoder.fit(toy_pairs(8), toy_pairs(8), work_dir=tmp_path, seed=0)


def test_rows_without_a_label_are_refused(models, tmp_path):
    train = toy_pairs(8).astype({"label": "Int8"})
    train.loc[3, "label"] = pd.NA
    with pytest.raises(UserError, match="1 rows without"):
        DecoderModel(toy_settings(models["qwen2"])).fit(train, toy_pairs(8), work_dir=tmp_path, seed=0)


def test_scoring_before_fitting_says_what_to_do():
    with pytest.raises(UserError, match="Call fit"):
        DecoderModel({"model_name_or_path": "x"}).score(toy_pairs(1))


def test_a_model_over_15_billion_parameters_is_warned_about(models, monkeypatch):
    assert decoder_load.size_warning(str(models["qwen2"])) is None
    monkeypatch.setattr(decoder_load, "PARAMETER_LIMIT", 1000)
    with pytest.warns(UserWarning, match="the competition allows 15"):
        assert decoder_load.size_warning(str(models["qwen2"]))


# On a GPU: the same list through Unsloth and 4-bit


@needs_gpu
@pytest.mark.parametrize("load_in_4bit", [False, True])
@pytest.mark.parametrize("backend", ["unsloth", "transformers"])
@pytest.mark.parametrize(("family", "objective"), WAYS)
def test_on_a_gpu_it_learns_is_reloaded_and_merged(tmp_path, family, objective, backend, load_in_4bit):
    model = build_tiny(tmp_path / "model", family, dtype="bfloat16")
    wishes = {"objective": objective, "backend": backend, "load_in_4bit": load_in_4bit, "device": "cuda"}
    decoder = DecoderModel(toy_settings(model, **wishes))
    decoder.fit(toy_pairs(320), toy_pairs(64, 1), work_dir=tmp_path / "fit", seed=0)
    unseen = toy_pairs(96, 2)
    scores = decoder.score(unseen)
    assert best_f1(unseen["label"].to_numpy(), scores) >= 0.95
    np.testing.assert_allclose(DecoderModel.load(tmp_path / "fit" / "fitted").score(unseen), scores, atol=1e-2)
    alone = np.concatenate([decoder.score(unseen.iloc[[row]]) for row in range(4)])
    np.testing.assert_allclose(alone, scores[:4], atol=1e-2)
    if not load_in_4bit:
        np.testing.assert_allclose(decoder.merge(tmp_path / "merged").score(unseen), scores, atol=1e-2)


@needs_gpu
@pytest.mark.parametrize("load_in_4bit", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_on_a_gpu_a_beginning_computed_once_gives_the_scores_of_whole_prompts(tmp_path, family, load_in_4bit):
    model = build_tiny(tmp_path, family, dtype="bfloat16")
    settings = toy_settings(model, device="cuda", backend="transformers", load_in_4bit=load_in_4bit)
    decoder = DecoderModel(settings).open()
    prompts = decoder.writer.write(toy_pairs(200)).ids
    options = {"pad_id": decoder.tokenizer.pad_token_id, "budget": TokenBudget(4096), "dtype": decoder.choice.dtype}
    whole = score_prompts(decoder.model, prompts, **options)
    np.testing.assert_allclose(score_prompts(decoder.model, prompts, **options, share_prefix=True), whole, atol=1e-2)


@needs_gpu
@pytest.mark.parametrize("backend", ["unsloth", "transformers"])
def test_on_a_gpu_a_killed_training_goes_on_to_the_same_loss(tmp_path, backend):
    model = build_tiny(tmp_path / "model", "qwen2", dtype="bfloat16")
    reports = {}
    for name in ("unbroken", "resumed"):
        decoder = DecoderModel(toy_settings(model, backend=backend, device="cuda", eval_steps=3, num_train_epochs=1))
        if name == "resumed":  # as a kill leaves it: checkpoints, but not what comes after the last of them
            decoder.fit(toy_pairs(128), toy_pairs(32, 1), work_dir=tmp_path / name, seed=0)
            _remove_the_end(tmp_path / name)
        reports[name] = decoder.fit(toy_pairs(128), toy_pairs(32, 1), work_dir=tmp_path / name, seed=0)
    losses = [[row["loss"] for row in report.history if "loss" in row] for report in reports.values()]
    assert losses[0] == pytest.approx(losses[1], abs=1e-2)


def _remove_the_end(work_dir):
    import shutil

    shutil.rmtree(work_dir / "training" / "done")
    newest = max((work_dir / "training").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    shutil.rmtree(newest)
