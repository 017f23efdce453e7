"""Children of the launcher: what they are started with, and that two give what one gives."""

import os
import sys
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_decoders import build_tiny, toy_pairs, toy_settings

from competition_utils.errors import UserError
from competition_utils.models.decoder import launch, launch_child
from competition_utils.models.decoder.model import DecoderModel
from competition_utils.settings.schema import DecoderSettings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # five processes start


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return build_tiny(tmp_path_factory.mktemp("qwen2"), "qwen2")


def command(place, **settings):
    return launch.command(place / "job.json", DecoderSettings.model_validate({"model_name_or_path": "tiny"} | settings))


def test_children_are_started_by_accelerate_with_this_python(tmp_path):
    line = command(tmp_path, processes=2)
    assert line[:3] == [sys.executable, "-m", "accelerate.commands.launch"]
    assert line[line.index("--num_processes") + 1] == "2" and "--multi_gpu" in line
    assert line[-3:] == ["-m", "competition_utils.models.decoder.launch_child", str(tmp_path / "job.json")]


def test_sharding_over_gpus_is_asked_for_by_a_setting(tmp_path):
    line = command(tmp_path, processes=2, parallel="fsdp")
    assert "--use_fsdp" in line and "--multi_gpu" not in line


def test_a_child_does_not_start_children(monkeypatch, model):
    decoder = DecoderModel(toy_settings(model, num_processes=2))
    assert decoder._wants_children()
    monkeypatch.setenv(launch.CHILD, "1")
    assert not decoder._wants_children()


def test_a_process_of_another_launch_starts_none_of_its_own(monkeypatch, model):
    decoder = DecoderModel(toy_settings(model, num_processes=2))
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert not decoder._wants_children()


def test_children_forget_the_launch_that_their_parent_is_part_of_but_not_its_gpu(monkeypatch, model, tmp_path):
    started = []

    class Children:
        stdout, returncode = (), 0

        def __init__(self, line, *, env, **_):
            started.append(env)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return False

    monkeypatch.setattr(launch.subprocess, "Popen", Children)
    for name, value in {"RANK": "3", "WORLD_SIZE": "4", "MASTER_PORT": "29500", "LOCAL_RANK": "3"}.items():
        monkeypatch.setenv(name, value)
    launch._run({}, tmp_path, DecoderModel(toy_settings(model)).settings)
    assert not {"RANK", "WORLD_SIZE", "MASTER_PORT"} & started[0].keys()
    assert started[0]["LOCAL_RANK"] == "3"


def test_children_score_with_the_settings_given_instead_of_the_saved_ones(monkeypatch, model, tmp_path):
    decoder = DecoderModel(toy_settings(model, num_processes=2))
    decoder.save_settings(tmp_path)
    seen = []

    def child(job, place, _):
        monkeypatch.setenv(launch.CHILD, "1")
        launch_child._do(job, place)

    def score(self, pairs):
        seen.append(self.settings.score_tokens)
        return np.zeros(len(pairs), dtype=np.float32)

    monkeypatch.setattr(launch, "_run", child)
    monkeypatch.setattr(DecoderModel, "_score_here", score)
    DecoderModel.load(tmp_path, {"score_tokens": 777}).score(toy_pairs(4))
    assert seen == [777]


@dataclass
class Run:
    history: pd.DataFrame
    scores: np.ndarray


@pytest.fixture(scope="module")
def runs(model, tmp_path_factory):
    """The same fit and score with one process and with two; the folder would show an import of Unsloth."""
    folder = tmp_path_factory.mktemp("launch")
    telltale = f"import pathlib; pathlib.Path({str(folder / 'unsloth was imported')!r}).touch()"
    (folder / "unsloth.py").write_text(telltale)
    train, valid, made = toy_pairs(96), toy_pairs(31, 1), {}
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        for processes in (1, 2):
            decoder = DecoderModel(toy_settings(model, num_train_epochs=1, objective="head", num_processes=processes))
            report = decoder.fit(train, valid, work_dir=folder / str(processes), seed=0)
            made[processes] = Run(pd.DataFrame(report.history), decoder.score(valid))
    return folder, made[1], made[2]


@pytest.mark.soak  # five processes start; one alone is in `make test`
def test_two_processes_score_as_one_does(runs):
    _, one, two = runs
    np.testing.assert_allclose(two.scores, one.scores, atol=1e-4)


@pytest.mark.soak
def test_two_processes_learn_in_the_same_steps(runs):
    _, one, two = runs
    assert two.history["step"].tolist() == one.history["step"].tolist()
    np.testing.assert_allclose(two.history["loss"], one.history["loss"], atol=1e-3)
    np.testing.assert_allclose(two.history["valid_f1"], one.history["valid_f1"], atol=1e-6)


@pytest.mark.soak
@pytest.mark.skipif(torch.cuda.is_available(), reason="holds on machines without a GPU")
def test_no_process_imports_unsloth_where_there_is_no_gpu(runs):
    folder, _, _ = runs
    assert not (folder / "unsloth was imported").exists()


def test_a_childs_user_error_arrives_as_one_and_without_its_traceback(tmp_path, monkeypatch):
    job = tmp_path / "job.json"
    launch.write_json(job, {"do": "score", "folder": str(tmp_path / "nowhere"), "place": str(tmp_path)})

    def fails(job, place):
        raise UserError("model folder: expected one, found none.")

    monkeypatch.setattr(launch_child, "_do", fails)
    assert launch_child.main(str(job)) == 2
    assert (tmp_path / "error.txt").read_text() == "model folder: expected one, found none."


def test_processes_that_die_are_an_error_with_their_last_lines(tmp_path, monkeypatch):
    dying = [sys.executable, "-c", "print('the last words'); raise SystemExit(7)"]
    monkeypatch.setattr(launch, "command", lambda job, settings: dying)
    with pytest.raises(RuntimeError, match=r"status 7(.|\n)*the last words"):
        launch._run({}, tmp_path, DecoderSettings.model_validate({"model_name_or_path": "tiny"}))


def test_an_error_left_by_a_child_is_raised_here(tmp_path, monkeypatch):
    fault = str(tmp_path / "error.txt")
    leaves = f"import pathlib; pathlib.Path({fault!r}).write_text('wrong label'); raise SystemExit(2)"
    monkeypatch.setattr(launch, "command", lambda job, settings: [sys.executable, "-c", leaves])
    with pytest.raises(UserError, match="wrong label"):
        launch._run({}, tmp_path, DecoderSettings.model_validate({"model_name_or_path": "tiny"}))
