"""Training a decoder: the rows of a step, the loss, memory, stopping, and going on after a kill."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_decoders import FAMILIES, build_tiny, toy_pairs, toy_settings

from competition_utils.errors import UserError
from competition_utils.f1 import best_f1
from competition_utils.models import training
from competition_utils.models.decoder import load, micro_batch
from competition_utils.models.decoder import train as decoder_train
from competition_utils.models.decoder.fit import plan_stages
from competition_utils.models.decoder.loss import pair_loss
from competition_utils.models.decoder.micro_batch import Fit, candidates, largest_that_fits
from competition_utils.models.decoder.model import DecoderModel
from competition_utils.models.decoder.rows import (
    Collator,
    Labelled,
    check_labels,
    row_weights,
    shared_tokens,
    training_table,
)
from competition_utils.models.decoder.train import validation_figures
from competition_utils.models.scoring.trials import cached_trial
from competition_utils.settings.schema import DecoderSettings


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return {family: build_tiny(tmp_path_factory.mktemp(family), family) for family in FAMILIES}


def fit(model, work_dir, train=None, valid=None, seed=0, **others):
    """A short fit; gives the model and its report."""
    decoder = DecoderModel(toy_settings(model, **{"num_train_epochs": 1, "eval_steps": 4} | others))
    train, valid = (
        (toy_pairs(128) if train is None else train),
        (toy_pairs(32, 1) if valid is None else valid),
    )
    return decoder, decoder.fit(train, valid, work_dir=Path(work_dir), seed=seed)


def losses(report):
    return [row["loss"] for row in report.history if "loss" in row]


# The rows of a step


def test_labels_are_on_the_label_word_alone():
    data = Labelled([[5, 6, 7], [8, 9]], np.array([1, 0]), np.ones(2), np.array(["QI", "QI"]))
    table = training_table(data, label_ids=(3, 4))
    assert table["input_ids"][:] == [[5, 6, 7, 4], [8, 9, 3]]
    assert table["labels"][:] == [[-100, -100, -100, 4], [-100, -100, 3]]


@pytest.mark.parametrize("labels", [[[-100, -100]], [[-100, 4], [-100, -100]], [[4, 4]], [[4, -100]], []])
def test_rows_without_exactly_one_label_at_their_end_are_refused_before_training(labels):
    table = Dataset.from_dict({"labels": labels}) if labels else training_empty()
    with pytest.raises(UserError, match="label"):
        check_labels(table)


def training_empty():
    return Dataset.from_dict({"labels": [[1]]}).select([])


def test_collator_gives_classes_and_weights_and_takes_the_label_word_off():
    rows = [
        {"input_ids": [5, 6, 4], "labels": [-100, -100, 4], "weight": 2.0},
        {"input_ids": [7, 3], "labels": [-100, 3], "weight": 0.5},
    ]
    batch = Collator(positive_id=4, pad_id=0, padding_free=False)(rows)
    assert batch["input_ids"].tolist() == [[5, 6], [7, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1], [1, 0]]
    assert batch["label_positions"].tolist() == [1, 2]
    assert batch["classes"].tolist() == [1, 0]
    assert batch["weights"].tolist() == [2.0, 0.5]


def test_the_beginning_that_all_prompts_share_is_taken_out_of_the_rows():
    rows = [{"input_ids": ids, "labels": [-100], "weight": 1.0} for ids in ([5, 6, 7, 4], [5, 6, 8, 9, 3])]
    batch = Collator(positive_id=4, pad_id=0, padding_free=False, shared=2)(rows)
    assert batch["prefix"].tolist() == [5, 6]
    assert batch["input_ids"].tolist() == [[7, 0], [8, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert batch["position_ids"][1].tolist() == [2, 3]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_gradient_is_the_same_with_a_beginning_that_is_computed_once(models, family):
    fitter = DecoderModel(toy_settings(models[family]))
    network = fitter.add_adapter(fitter.load_base_model())
    rows = fitter.training_rows(toy_pairs(4))
    assert shared_tokens(rows) >= 8
    table = [row | {"weight": 1.0} for row in training_table(rows, fitter.new_writer().label_words.ids)]
    gradients = []
    for shared in (0, shared_tokens(rows)):
        collator = Collator(fitter.new_writer().label_words.ids[1], fitter.tokenizer.pad_token_id, False, shared)
        decoder_train.batch_loss(network, collator(table), pair_loss).backward()
        gradients.append({name: one.grad.clone() for name, one in network.named_parameters() if one.requires_grad})
        network.zero_grad()
    assert any(one.abs().max() > 1e-3 for one in gradients[0].values())
    for name, expected in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], expected, atol=1e-5, rtol=1e-3)


def test_padding_free_batches_start_positions_anew():
    rows = [{"input_ids": ids, "labels": [-100], "weight": 1.0} for ids in ([5, 6, 4], [7, 8, 9, 3])]
    batch = Collator(positive_id=4, pad_id=0, padding_free=True)(rows)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9]]
    assert batch["position_ids"].tolist() == [[0, 1, 0, 1, 2]]
    assert batch["label_positions"].tolist() == [1, 4]
    assert "attention_mask" not in batch


# Weights, loss, figures


@settings(deadline=None)
@given(
    labels=st.lists(st.integers(0, 1), min_size=2, max_size=50),
    wish=st.sampled_from(["none", "balanced", (1, 3)]),
)
def test_weights_have_a_mean_of_one(labels, wish):
    weights = row_weights(np.array(labels), np.linspace(0.5, 2, len(labels)), wish)
    assert weights.mean() == pytest.approx(1, rel=1e-5)


def test_balanced_classes_weigh_the_same_in_total():
    labels = np.array([0, 1, 1, 1])
    weights = row_weights(labels, np.ones(4), "balanced")
    assert weights[labels == 0].sum() == pytest.approx(weights[labels == 1].sum())


def test_loss_is_the_weighted_cross_entropy_between_the_two_words():
    logits = torch.tensor([[0.0, math.log(3)], [0.0, math.log(3)]])  # P(positive) = 3/4
    labels, weights = torch.tensor([1, 0]), torch.tensor([1.0, 0.5])
    expected = (-math.log(0.75) - 0.5 * math.log(0.25)) / 2
    assert pair_loss(logits, labels, weights).item() == pytest.approx(expected)
    smoothed = (-0.9 * math.log(0.75) - 0.1 * math.log(0.25)) - 0.5 * (0.9 * math.log(0.25) + 0.1 * math.log(0.75))
    assert pair_loss(logits, labels, weights, label_smoothing=0.2).item() == pytest.approx(smoothed / 2)


def test_two_tasks_count_the_same_each_with_its_own_threshold():
    data = Labelled([[]] * 4, np.array([0, 1, 0, 1]), np.ones(4), np.array(["QC", "QC", "QI", "QI"]))
    assert validation_figures(np.array([0.1, 0.2, 0.7, 0.8]), data)["f1"] == 1.0


# Memory


def test_micro_batches_are_divisors_and_checkpointing_comes_after_comfortable_sizes():
    assert candidates(16, "auto", "auto") == [
        Fit(16, False),
        Fit(8, False),
        *[Fit(size, True) for size in (16, 8, 4, 2, 1)],
    ]


def test_a_given_micro_batch_is_tried_without_checkpointing_first():
    assert candidates(16, 4, "auto") == [Fit(4, False), Fit(4, True)]


def test_the_largest_step_that_does_not_run_out_of_memory_is_taken():
    tried = []

    def step(choice):
        tried.append(choice)
        if choice.micro_batch > 4:
            raise torch.OutOfMemoryError("out of memory")

    assert largest_that_fits(candidates(16, "auto", True), step) == Fit(4, True)
    assert [choice.micro_batch for choice in tried] == [16, 8, 4]


def test_no_step_that_fits_is_an_error_that_says_what_to_do():
    def step(choice):
        raise torch.OutOfMemoryError("out of memory")

    with pytest.raises(UserError, match="load_in_4bit"):
        largest_that_fits([Fit(1, True)], step)


def test_what_was_found_by_trying_is_remembered_for_the_same_facts(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    finds = []

    def find():
        finds.append(1)
        return {"per_device_train_batch_size": 8}

    facts = {"gpu": "one", "model": "tiny"}
    assert cached_trial(facts, find) == cached_trial(facts, find) == {"per_device_train_batch_size": 8}
    assert len(finds) == 1
    cached_trial(facts | {"gpu": "another"}, find)
    assert len(finds) == 2


def test_a_cpu_takes_a_fixed_size(models):
    config = DecoderSettings(**toy_settings(models["qwen2"], total_batch_size=64))
    choice = SimpleNamespace(device="cpu")
    chosen = decoder_train.choose_micro_batch(None, config, choice, None, 0, pair_loss, at_most=64)
    assert chosen == Fit(micro_batch.CPU_MICRO_BATCH, False)


def test_loss_does_not_depend_on_the_micro_batch_checkpointing_or_padding(models, tmp_path):
    whole = losses(fit(models["qwen2"], tmp_path / "whole", micro_batch=16)[1])
    for name, others in {
        "quarters": {"per_device_train_batch_size": 4},
        "checkpointing": {"per_device_train_batch_size": 16, "gradient_checkpointing": True},
        "padding_free": {"per_device_train_batch_size": 16, "batching": "padding_free"},
        "beginning_with_every_row": {"per_device_train_batch_size": 16, "share_prefix": False},
    }.items():
        assert losses(fit(models["qwen2"], tmp_path / name, **others)[1]) == pytest.approx(whole, abs=2e-3), name


@pytest.mark.parametrize("from_step", [1, 6])  # before the first checkpoint, and after it
def test_a_training_that_runs_out_of_memory_goes_on_with_fewer_rows_at_once_and_says_so(
    models, tmp_path, monkeypatch, from_step
):
    same = {"per_device_train_batch_size": 16}
    expected = losses(fit(models["qwen2"], tmp_path / "whole", **same)[1])
    original = decoder_train.PairTrainer.compute_loss

    def compute_loss(self, model, inputs, *others, **more):
        if self.state.global_step + 1 >= from_step and len(inputs["input_ids"]) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return original(self, model, inputs, *others, **more)

    monkeypatch.setattr(decoder_train.PairTrainer, "compute_loss", compute_loss)
    report = fit(models["qwen2"], tmp_path / "cut", **same)[1]
    assert any("memory ran out with 8 rows at once; went on with 4 at most" in note for note in report.notes)
    assert losses(report) == pytest.approx(expected, abs=2e-3)


def test_padding_free_batches_are_refused_with_unsloth(models):
    fitter = DecoderModel(toy_settings(models["qwen2"], batching="padding_free"))
    fitter.choice = SimpleNamespace(backend="unsloth")
    with pytest.raises(UserError, match="grouped"):
        fitter.make_trainer(None, None, None, None)


def test_a_change_that_unsloth_would_ignore_is_refused(models):
    fitter = DecoderModel(toy_settings(models["qwen2"]))
    fitter.choice = SimpleNamespace(backend="unsloth")
    fitter.lora_config.use_dora = True
    with pytest.raises(UserError, match="Unsloth takes no use_dora"):
        fitter.add_adapter(None)


# A card that is tried out, and what the trainer does to the model (faults of the first GPU desk-run)


@pytest.fixture
def opened(models):
    """A fitter, its network and a few rows for its trainer."""

    def get(**others):
        fitter = DecoderModel(toy_settings(models["qwen2"], **others))
        network = fitter.add_adapter(fitter.load_base_model())
        return fitter, network, fitter.training_rows(toy_pairs(32))

    return get


def test_the_trial_step_recomputes_activations_as_training_does_and_leaves_the_layers_as_they_were(opened):
    _, network, rows = opened()
    network.eval()
    calls, layers = [], load.base_of(network).model.layers
    load.set_checkpointing(network, True)
    for layer in layers:
        original = layer._gradient_checkpointing_func
        layer._gradient_checkpointing_func = lambda *args, of=original, **more: calls.append(1) or of(*args, **more)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(decoder_train, "set_checkpointing", lambda *_: None)
        trial = (Fit(2, True), Collator(1, 0, False), rows.prompts[0], pair_loss)
        decoder_train.trial_step(network, *trial)
    assert len(calls) == len(layers) == 2
    assert not any(module.training for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_the_trial_step_draws_nothing_from_the_generator(opened):
    _, network, rows = opened(lora_dropout=0.5)
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    decoder_train.trial_step(network, Fit(2, False), Collator(1, 0, False), rows.prompts[0], pair_loss)
    assert torch.rand(1) == expected


@pytest.mark.parametrize("wanted", [True, False])
def test_checkpointing_is_recorded_where_unsloths_trainer_looks_for_it(opened, wanted):
    _, network, _ = opened()
    load.set_checkpointing(network, wanted)
    for model in (network, load.base_of(network)):
        assert model._unsloth_gradient_checkpointing is wanted


def test_one_process_takes_one_of_two_gpus_and_says_so(opened, tmp_path):
    fitter, network, rows = opened()
    arguments = fitter.training_arguments(tmp_path)
    arguments._n_gpu = 2  # as on a machine with two cards
    trainer = fitter.make_trainer(network, rows, rows, arguments)
    assert trainer.args.n_gpu == 1
    assert "one of 2 GPUs is used; `num_processes: 2` trains on all" in trainer.notes


def test_the_adapter_of_a_4_bit_model_keeps_its_float32_weights_when_a_trainer_takes_it(opened, tmp_path):
    fitter, network, rows = opened(load_in_4bit=True)
    trained = [one for one in network.parameters() if one.requires_grad]
    torch.manual_seed(0)
    for one in trained:
        torch.nn.init.normal_(one)  # as an earlier stage leaves it: not to be had in bfloat16
    expected = [one.detach().clone() for one in trained]
    fitter.make_trainer(network, rows, rows, fitter.training_arguments(tmp_path))
    assert all(
        one.dtype == torch.float32 and torch.equal(one, kept) for one, kept in zip(trained, expected, strict=True)
    )


def test_a_sharded_fit_goes_through_transformers_with_a_plain_optimizer(models, tmp_path):
    sharded = {"parallel": "fsdp", "num_processes": 2}
    settings = DecoderSettings.model_validate(toy_settings(models["qwen2"], **sharded))
    assert load.backend_wish(settings) == "transformers"
    cuda = SimpleNamespace(device="cuda", dtype="float32")
    options = {"seed": 0, "length": {"num_train_epochs": 1}, "evaluates": False, "overrides": {"use_cpu": True}}
    assert decoder_train.training_arguments(settings, cuda, tmp_path, **options).optim == "adamw_torch"
    with pytest.raises(UserError, match="fsdp needs"):
        load.backend_wish(settings.model_copy(update={"backend": "unsloth"}))


# Going on


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def kill_at(monkeypatch, step):
    """Let every training die right after an optimizer step, before what would follow it."""
    original = decoder_train.Watch.on_step_end

    def on_step_end(self, args, state, control, **others):
        if state.global_step == step:
            raise Killed
        return original(self, args, state, control, **others)

    monkeypatch.setattr(decoder_train.Watch, "on_step_end", on_step_end)


def recorded_bars(monkeypatch):
    """The progress bars that a training shows from now on."""
    bars, shown = [], training.progress

    def progress(*args, **kwargs):
        bars.append(shown(*args, **kwargs))
        return bars[-1]

    monkeypatch.setattr(training, "progress", progress)
    return bars


KILLED = {
    "gemma3, head": ("gemma3", {"objective": "head", "lora_dropout": 0.1}),
    "qwen2": ("qwen2", {"lora_dropout": 0.1}),
    "gemma3 in 4 bits with a short prompt": ("gemma3", {"load_in_4bit": True, "prompt": "short"}),
}


@pytest.mark.parametrize(("family", "others"), KILLED.values(), ids=KILLED)
def test_a_killed_training_goes_on_to_the_same_losses_and_scores(models, tmp_path, monkeypatch, family, others):
    same = {"num_train_epochs": 2, "eval_steps": 3, **others}
    unbroken, expected = fit(models[family], tmp_path / "unbroken", **same)
    with monkeypatch.context() as patched:
        kill_at(patched, step=14)  # in the second epoch, two steps after a checkpoint
        with pytest.raises(Killed):
            fit(models[family], tmp_path / "killed", **same)
    bars = recorded_bars(monkeypatch)
    resumed, report = fit(models[family], tmp_path / "killed", **same)
    assert losses(report) == pytest.approx(losses(expected), abs=1e-6)
    assert [(bar.initial, bar.n) for bar in bars if bar.desc.startswith("training")] == [(12 * 16, 16 * 16)]  # rows
    valid = toy_pairs(32, 1)
    np.testing.assert_allclose(resumed.score(valid), unbroken.score(valid), atol=1e-6)


def test_a_finished_fit_is_not_trained_again(models, tmp_path, monkeypatch):
    first, expected = fit(models["qwen2"], tmp_path)
    monkeypatch.setattr(decoder_train, "make_trainer", None)
    again, report = fit(models["qwen2"], tmp_path)
    assert report.history == expected.history
    np.testing.assert_array_equal(again.score(toy_pairs(8)), first.score(toy_pairs(8)))


def test_other_arguments_start_anew(models, tmp_path):
    _, first = fit(models["qwen2"], tmp_path)
    _, other = fit(models["qwen2"], tmp_path, seed=1)
    assert losses(first) != losses(other)


def test_training_stops_early_and_ends_with_its_best(models, tmp_path):
    wrong = toy_pairs(32, 1)
    wrong["label"] = 1 - wrong["label"]  # the better it learns, the worse it gets
    _, report = fit(
        models["qwen2"], tmp_path, valid=wrong, num_train_epochs=20, eval_steps=4, early_stopping_patience=2
    )
    seen = [row["valid_f1"] for row in report.history if "valid_f1" in row]
    assert len(seen) - 1 - int(np.argmax(seen)) == 2
    assert report.history[-1]["step"] < 160


def test_a_training_that_had_stopped_early_is_not_gone_on_with_after_a_kill(models, tmp_path, monkeypatch):
    wrong = toy_pairs(32, 1)
    wrong["label"] = 1 - wrong["label"]
    same = {"valid": wrong, "num_train_epochs": 20, "eval_steps": 4, "early_stopping_patience": 2}
    unbroken, expected = fit(models["qwen2"], tmp_path / "unbroken", **same)

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(decoder_train.PairTrainer, "save_model", _save_checkpoints_only(killed))
        with pytest.raises(Killed):
            fit(models["qwen2"], tmp_path / "killed", **same)
    resumed, report = fit(models["qwen2"], tmp_path / "killed", **same)
    assert report.history == expected.history
    np.testing.assert_array_equal(resumed.score(wrong), unbroken.score(wrong))


def _save_checkpoints_only(otherwise):
    original = decoder_train.PairTrainer.save_model

    def save_model(self, output_dir=None, _internal_call=False):
        return (original if _internal_call else otherwise)(self, output_dir, _internal_call)

    return save_model


# Stages


def test_max_steps_sets_the_length_of_a_fit_but_not_of_its_first_stage(models, tmp_path):
    report = fit(models["qwen2"], tmp_path / "one", max_steps=3)[1]
    assert report.history[-1]["step"] == 3
    config = DecoderSettings.model_validate({"model_name_or_path": "x", "training": "two_stage", "max_steps": 3})
    both = toy_pairs(6).assign(task=["QC", "QI", "QI"] * 2)
    assert [one.max_steps for one in plan_stages(config, both, both[both["task"] == "QC"])] == [-1, 3]


def test_single_training_refuses_rows_of_two_tasks():
    both = toy_pairs(8).assign(task=["QC", "QI"] * 4)
    with pytest.raises(UserError, match="two_stage"):
        plan_stages(DecoderSettings(), both, both[both["task"] == "QC"])


def test_two_stages_train_on_the_other_task_first():
    both = toy_pairs(6).assign(task=["QC", "QI", "QI"] * 2)
    config = DecoderSettings.model_validate(
        {"model_name_or_path": "x", "training": "two_stage", "first_stage_epochs": 0.5}
    )
    first, second = plan_stages(config, both, both[both["task"] == "QC"])
    assert first.rows.tolist() == [False, True, True] * 2 and not first.evaluates and first.epochs == 0.5
    assert second.rows.tolist() == [True, False, False] * 2 and second.evaluates


def test_two_stages_without_the_other_task_are_refused():
    config = DecoderSettings.model_validate({"model_name_or_path": "x", "training": "two_stage"})
    with pytest.raises(UserError, match="two_stage"):
        plan_stages(config, toy_pairs(8), toy_pairs(8))


def test_two_stages_are_trained_and_numbered_and_the_first_helps(models, tmp_path):
    both = _both_tasks(256)
    valid = toy_pairs(32, 1, task="QC")
    few = both[(both["task"] == "QI") | (both.index < 64)]
    alone = fit(models["qwen2"], tmp_path / "alone", train=few[few["task"] == "QC"], valid=valid)[1]
    two = fit(models["qwen2"], tmp_path / "two", train=few, valid=valid, training="two_stage", first_stage_epochs=3)[1]
    assert {row["stage"] for row in two.history} == {1, 2}
    assert two.history[-1]["valid_f1"] > alone.history[-1]["valid_f1"]


def test_joint_training_serves_both_tasks(models, tmp_path):
    decoder, _ = fit(
        models["qwen2"],
        tmp_path,
        train=_both_tasks(384),
        valid=_both_tasks(64, 1),
        training="joint",
        num_train_epochs=3,
    )
    for task in ("QC", "QI"):
        pairs = toy_pairs(64, 2, task=task)
        assert best_f1(pairs["label"].to_numpy(), decoder.score(pairs)) >= 0.95


def _both_tasks(rows, seed=0):
    return toy_pairs(rows, seed).assign(task=np.where(np.arange(rows) % 2, "QI", "QC"))


def test_start_from_goes_on_with_another_fits_adapter(models, tmp_path):
    first, _ = fit(models["qwen2"], tmp_path / "first", num_train_epochs=3)
    expected = first.score(toy_pairs(16))
    still = {"start_from": str(tmp_path / "first" / "fitted"), "learning_rate": 1e-8}
    second, _ = fit(models["qwen2"], tmp_path / "second", **still)
    np.testing.assert_allclose(second.score(toy_pairs(16)), expected, atol=1e-4)


def test_start_from_another_rank_is_refused(models, tmp_path):
    fit(models["qwen2"], tmp_path / "first")
    with pytest.raises(UserError, match="lora_r: 16"):
        fit(models["qwen2"], tmp_path / "second", start_from=str(tmp_path / "first" / "fitted"), lora_rank=8)


# What is trained


@pytest.mark.parametrize("family", FAMILIES)
def test_before_training_both_objectives_give_what_the_prompt_already_points_at(models, family):
    settings = [toy_settings(models[family], objective=objective) for objective in ("label_token", "head")]
    decoders = [DecoderModel(one).open() for one in settings]
    prompt = torch.tensor([decoders[0].writer.write(toy_pairs(1)).ids[0]])
    last = torch.tensor([prompt.shape[1] - 1])
    full = decoders[0].model(input_ids=prompt).logits[0, -1][list(decoders[0].writer.label_words.ids)]
    for decoder in decoders:
        logits = decoder.model(input_ids=prompt, label_positions=last)["logits"][0]
        torch.testing.assert_close(logits, full, atol=1e-5, rtol=1e-5)


def test_only_a_heads_label_rows_are_trained(models):
    def trained(objective):
        model = DecoderModel(toy_settings(models["qwen2"], objective=objective)).open().model
        return {
            name.split(".")[-1] for name, one in model.named_parameters() if one.requires_grad and "lora" not in name
        }

    assert trained("label_token") == set()
    assert trained("head") == {"label_rows"}


def test_metrics_go_to_trackio_on_this_machine(models, tmp_path, monkeypatch):
    monkeypatch.setattr("trackio.sqlite_storage.TRACKIO_DIR", tmp_path / "trackio")
    fit(models["qwen2"], tmp_path / "fit", trackers=["trackio"])
    assert list((tmp_path / "trackio").glob("*.db"))
