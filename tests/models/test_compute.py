"""The number format and the threads of a CPU: what a trial chooses, and where the choice is kept."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from transformers import BertConfig

import competition_utils
from competition_utils.models import compute, threads
from competition_utils.models.compute import Compute, choose_compute
from competition_utils.models.scoring.trials import median_seconds
from competition_utils.settings.schema import EncoderSettings

CPU = Compute("cpu", "float32")


@pytest.fixture(autouse=True)
def notes(tmp_path, monkeypatch):
    """No trial of another test is known, and the processor says that it multiplies bfloat16."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(compute, "multiplies_bfloat16", lambda: True)


def a_step(bfloat16: float = 0.0, float32: float = 0.0):
    """Work that takes so many CPU seconds under each format; `calls` are the formats that it was called under."""
    calls = []

    def work():
        half = torch.is_autocast_enabled("cpu")
        calls.append("bfloat16" if half else "float32")
        until = time.process_time() + (bfloat16 if half else float32)
        while time.process_time() < until:
            pass

    work.calls = calls
    return work


def choose(work, folder=None, config=None, int8_work=None, **settings):
    return choose_compute(
        work,
        purpose="fit",
        config=config or BertConfig(),
        settings=EncoderSettings(**settings),
        default=CPU,
        folder=folder,
        int8_work=int8_work,
    )


@pytest.mark.parametrize(("bfloat16", "float32", "chosen"), [(0.01, 0.03, "bfloat16"), (0.03, 0.01, "float32")])
def test_the_faster_format_is_taken(bfloat16, float32, chosen):
    assert choose(a_step(bfloat16, float32)).dtype == chosen


def test_bfloat16_must_be_clearly_faster_for_its_rounding():
    assert choose(a_step(bfloat16=0.019, float32=0.02)).dtype == "float32"


@pytest.mark.parametrize(("int8", "chosen"), [(0.005, "int8"), (0.0095, "bfloat16"), (0.02, "bfloat16")])
def test_8_bit_layers_must_be_clearly_faster_than_what_rounds_less(int8, chosen):
    int8_work = a_step(float32=int8)
    assert choose(a_step(bfloat16=0.01, float32=0.03), int8_work=int8_work, num_threads=1).dtype == chosen


def test_the_trial_of_threads_is_of_the_format_that_was_chosen(monkeypatch):
    monkeypatch.setattr(compute, "most_threads", lambda: 2)
    work, int8_work = a_step(bfloat16=0.03, float32=0.03), a_step(float32=0.01)
    assert choose(work, int8_work=int8_work).dtype == "int8"
    assert len(int8_work.calls) > len(work.calls) / 2


def test_a_choice_among_other_formats_is_not_taken_over(tmp_path):
    work = a_step(bfloat16=0.03, float32=0.03)
    assert choose(work, tmp_path, int8_work=a_step(float32=0.01), num_threads=1).dtype == "int8"
    assert choose(work, tmp_path, num_threads=1).dtype == "float32"


def test_a_choice_of_before_8_bit_layers_holds_where_they_are_not_wanted(tmp_path):
    work = a_step(bfloat16=0.01, float32=0.03)
    first = choose(work, tmp_path)
    [record] = tmp_path.glob("*.json")
    kept = json.loads(record.read_text())
    del kept["formats"]
    record.write_text(json.dumps(kept))
    work.calls.clear()
    assert choose(work, tmp_path) == first
    assert work.calls == []


def test_a_format_that_is_given_is_not_tried():
    work = a_step()
    assert choose(work, dtype="bfloat16", num_threads=1) == Compute("cpu", "bfloat16", 1)
    assert work.calls == []


def test_a_processor_without_bfloat16_is_not_asked_for_it(monkeypatch):
    monkeypatch.setattr(compute, "multiplies_bfloat16", lambda: False)
    work = a_step()
    assert choose(work, num_threads=1).dtype == "float32"
    assert work.calls == []


def test_a_format_is_tried_once_a_machine_and_shape_of_model():
    work = a_step()
    choose(work, num_threads=1)
    tried = len(work.calls)
    choose(work, num_threads=1, config=BertConfig(name_or_path="another/folder"))
    assert len(work.calls) == tried
    choose(work, num_threads=1, config=BertConfig(hidden_size=24))
    assert len(work.calls) == 2 * tried


def test_never_more_threads_than_this_process_may_use():
    assert choose(a_step(), dtype="float32", num_threads=1000).threads == threads.most_threads()


@pytest.mark.parametrize(("barrier", "chosen"), [(0.02, 1), (0.0, 2)])
def test_one_thread_is_taken_where_two_wait_for_each_other(barrier, chosen, monkeypatch):
    monkeypatch.setattr(compute, "most_threads", lambda: 2)
    assert (
        choose(lambda: time.sleep(0.005 + barrier * (torch.get_num_threads() - 1)), dtype="float32").threads == chosen
    )


def test_a_killed_fit_goes_on_with_the_choice_beside_it(tmp_path, monkeypatch):
    first = choose(a_step(bfloat16=0.01, float32=0.03), tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    assert choose(a_step(bfloat16=0.03, float32=0.01), tmp_path) == first


def test_another_machine_tries_for_itself(tmp_path, monkeypatch):
    choose(a_step(bfloat16=0.01, float32=0.03), tmp_path)
    monkeypatch.setattr(compute, "machine", lambda: "another")
    assert choose(a_step(bfloat16=0.03, float32=0.01), tmp_path).dtype == "float32"


def test_nothing_is_written_into_the_folder_of_a_saved_model(tmp_path):
    (tmp_path / "model.json").touch()
    choose(a_step(), tmp_path)
    assert [path.name for path in tmp_path.glob("*.json")] == ["model.json"]


def test_the_choice_is_reported_in_a_line(capsys):
    choose(a_step(bfloat16=0.01, float32=0.03), num_threads=1)
    assert capsys.readouterr().out.startswith("fit on the cpu in bfloat16, 1 thread (when tried: bfloat16 ")


def test_a_gpu_is_not_tried():
    gpu = Compute("cuda", "bfloat16")
    where = {"config": BertConfig(), "settings": EncoderSettings(), "folder": None}
    assert choose_compute(None, purpose="fit", default=gpu, **where) == gpu


def test_threads_are_put_back_behind_the_block():
    before = torch.get_num_threads()
    with Compute("cpu", "bfloat16", before + 1).active():
        assert torch.get_num_threads() == before + 1 and torch.is_autocast_enabled("cpu")
    assert torch.get_num_threads() == before and not torch.is_autocast_enabled("cpu")


def test_openmp_and_the_cores_of_a_process_bound_its_threads():
    code = "from competition_utils.models.threads import most_threads; print(most_threads())"
    environment = {**os.environ, "PYTHONPATH": str(Path(competition_utils.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == 1


def test_ways_are_timed_in_turn_after_a_call_to_warm_up():
    calls = []
    median_seconds({name: lambda name=name: calls.append(name) for name in "ab"})
    assert calls == list("abababab")
