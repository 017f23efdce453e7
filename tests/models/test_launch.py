"""Children of the launcher: what they are started with, and that two give what one gives."""

import sys

import numpy as np
import pandas as pd
import pytest
from tiny_decoders import build_tiny, toy_pairs, toy_settings

from competition_utils.errors import UserError
from competition_utils.models import launch
from competition_utils.models.decoder import DecoderModel
from competition_utils.models.decoder_settings import DecoderSettings


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return build_tiny(tmp_path_factory.mktemp("qwen2"), "qwen2")


def command(place, **settings):
    return launch.command(place / "job.json", DecoderSettings.read({"model": "tiny"} | settings))


def test_processes_on_a_cpu_are_started_by_accelerate_with_this_python(tmp_path):
    line = command(tmp_path, processes=2, device="cpu")
    assert line[:3] == [sys.executable, "-m", "accelerate.commands.launch"]
    assert line[line.index("--num_processes") + 1] == "2"
    assert "--cpu" in line and "--use_fsdp" not in line
    assert line[-3:] == ["-m", "competition_utils.models.launch", str(tmp_path / "job.json")]


def test_sharding_over_gpus_is_asked_for_by_a_setting(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "_has_gpu", lambda settings: True)
    assert "--use_fsdp" in command(tmp_path, processes=2, parallel="fsdp")
    assert "--multi_gpu" in command(tmp_path, processes=2, parallel="ddp")


def test_a_child_does_not_start_children(monkeypatch, model):
    decoder = DecoderModel(toy_settings(model, processes=2))
    assert decoder._wants_children()
    monkeypatch.setenv(launch.CHILD, "1")
    assert not decoder._wants_children()


def test_two_processes_fit_and_score_as_one_does(model, tmp_path):
    train, valid = toy_pairs(96), toy_pairs(31, 1)
    scores, reports = {}, {}
    for processes in (1, 2):
        decoder = DecoderModel(toy_settings(model, epochs=1, objective="head", processes=processes))
        reports[processes] = decoder.fit(train, valid, work_dir=tmp_path / str(processes), seed=0)
        scores[processes] = decoder.score(valid)
    np.testing.assert_allclose(scores[2], scores[1], atol=1e-4)
    figures = [pd.DataFrame(report.history) for report in reports.values()]
    np.testing.assert_allclose(figures[1]["valid_f1"], figures[0]["valid_f1"], atol=1e-6)
    np.testing.assert_allclose(figures[1]["loss"], figures[0]["loss"], atol=1e-3)


def test_a_childs_user_error_arrives_as_one_and_without_its_traceback(tmp_path, monkeypatch):
    job = tmp_path / "job.json"
    launch.write_json(job, {"do": "score", "folder": str(tmp_path / "nowhere"), "place": str(tmp_path)})

    def fails(job, place):
        raise UserError("model folder: expected one, found none.")

    monkeypatch.setattr(launch, "_do", fails)
    assert launch.main(str(job)) == 2
    assert (tmp_path / "error.txt").read_text() == "model folder: expected one, found none."


def test_processes_that_die_are_an_error_with_their_last_lines(tmp_path, monkeypatch):
    dying = [sys.executable, "-c", "print('the last words'); raise SystemExit(7)"]
    monkeypatch.setattr(launch, "command", lambda job, settings: dying)
    with pytest.raises(RuntimeError, match=r"status 7(.|\n)*the last words"):
        launch._run({}, tmp_path, None)


def test_an_error_left_by_a_child_is_raised_here(tmp_path, monkeypatch):
    fault = str(tmp_path / "error.txt")
    leaves = f"import pathlib; pathlib.Path({fault!r}).write_text('wrong label'); raise SystemExit(2)"
    monkeypatch.setattr(launch, "command", lambda job, settings: [sys.executable, "-c", leaves])
    with pytest.raises(UserError, match="wrong label"):
        launch._run({}, tmp_path, None)
