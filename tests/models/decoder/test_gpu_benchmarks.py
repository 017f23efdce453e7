"""The GPU benchmarks and the published recipes, as far as a machine without a GPU can hold them."""

import json
import site
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from tiny_decoders import needs_gpu

from benchmarks.gpu import check as gpu_check
from benchmarks.gpu import fit, random_models, score
from benchmarks.gpu.parts import Figures, PartFailed, Session, in_own_process
from competition_utils.errors import UserError
from competition_utils.models.decoder import launch
from competition_utils.settings.schema import DecoderSettings
from competition_utils.storage import write_json

ROOT = Path(__file__).parents[3]
SITE = site.getsitepackages()
RECIPES = ["gemma3_12b_4bit", "gemma3_4b_l4", "qwen25_7b_2xt4", "qwen25_14b_4bit"]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_names_a_decoder_with_settings_that_hold(name):
    recipe = yaml.safe_load((ROOT / "configs" / f"{name}.yaml").read_text(encoding="utf-8"))
    settings = DecoderSettings.model_validate(recipe["decoder"])
    assert recipe["model"] == "decoder" and settings.load_in_4bit is ("4b_l4" not in name)
    assert settings.learning_rate == 2e-4 and settings.num_processes == (2 if "2xt4" in name else 1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="holds on machines without a GPU")
def test_without_a_gpu_it_says_so_in_one_line_and_ends_with_2(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu_check"])
    assert gpu_check.main() == 2
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 1 and "needs a CUDA GPU" in printed[0]


def test_benchmark_rows_have_a_mean_length_of_about_64_tokens():
    data = fit._prompts(20_000, None)
    assert np.mean([len(prompt) for prompt in data.prompts]) == pytest.approx(64, abs=2)


# Time, figures, faults: with a clock and parts that are not real


class Machine:
    """Stands in for the clock and for parts in processes of their own; each part takes `minutes` of the clock."""

    def __init__(self, minutes=1.0, faults=()):
        self.now, self.minutes, self.faults, self.asked = 0.0, minutes, dict(faults), []

    def run(self, module, arguments, seconds):
        name = f"{module} {arguments[0]}"
        self.asked.append(name)
        self.now += min(60 * self.minutes, seconds)
        if name in self.faults:
            raise PartFailed(self.faults[name])
        if module == "random_models":
            write_json(Path(arguments[1]) / "fitted" / "model.json", {})
        return dict(FIGURES)

    def session(self, file, minutes=60.0, **others):
        return Session(Figures(file, **others), minutes, "cuda", lambda: self.now, self.run)


FIGURES = {
    "name": "NVIDIA H100", "gib": 80.0, "flops": 7e14, "torch": "2", "parameters": 12e9, "checkpointing": True,
    "micro_batch": 8, "samples_per_second": 40.0, "tokens_per_second": 24_000.0, "tokens_per_pair": 60.0,
    "pairs_per_second": 400.0, "operations_per_second": 3.5e14, "padding": 0.01, "peak_gib": 10.0,
    "first_scores": [0.5, 0.5],
}  # fmt: skip


def check(session, *shapes, wanted=("fit", "score"), models=None):
    arguments = SimpleNamespace(shapes=list(shapes), models=models, rows=100)
    gpu_check.measure(session, arguments, wanted)
    return session.figures


def on_disk(session):
    return json.loads(session.figures.file.read_text())


def test_the_smallest_shape_comes_first_and_fits_before_scores(tmp_path):
    machine = Machine()
    check(machine.session(tmp_path / "x.json"), "qwen2-14b", "gemma3-1b")
    models = [place for place, name in enumerate(machine.asked) if name.startswith("random_models")]
    assert [machine.asked[place] for place in models] == ["random_models gemma3-1b", "random_models qwen2-14b"]
    assert [name.split(" ")[0] for name in machine.asked[models[0] + 1 : models[1]]] == [
        *["fit"] * 3,
        *["score"] * 6,
    ]


def test_each_figure_is_in_the_file_before_the_next_is_measured(tmp_path):
    machine = Machine()
    session, seen = machine.session(tmp_path / "x.json"), []

    def run(*part):
        seen.append(len(on_disk(session)) if session.figures.file.is_file() else 0)
        return machine.run(*part)

    session.run = run
    check(session, "gemma3-1b")
    assert seen == list(range(len(seen))) and len(seen) == 11


def test_what_does_not_fit_into_the_time_is_left_for_the_next_call_which_measures_nothing_twice(tmp_path, capsys):
    file, models = tmp_path / "x.json", tmp_path / "models"
    first = Machine()
    check(first.session(file, minutes=5), "gemma3-1b", models=models)
    assert first.now <= 5 * 60 and "no time left" in capsys.readouterr().out
    second = Machine()
    check(second.session(file), "gemma3-1b", models=models)
    assert set(first.asked) & set(second.asked) == {"parts cuda"}
    assert len({*first.asked, *second.asked}) == 11


def test_no_part_runs_longer_than_the_time_that_is_left(tmp_path):
    machine = Machine(minutes=1000)
    session = machine.session(tmp_path / "x.json", minutes=9)
    check(session, "gemma3-1b")
    assert machine.now <= 9 * 60


def test_a_part_that_fails_is_written_down_and_the_others_are_measured(tmp_path):
    machine = Machine(faults={"fit unsloth": "status 1\nout of memory"})
    session = machine.session(tmp_path / "x.json")
    check(session, "gemma3-1b", wanted=("fit",))
    assert "out of memory" in on_disk(session)["fit/gemma3-1b/unsloth"]["fault"]
    assert session.figures.has("fit/gemma3-1b/plain")
    again = Machine()
    check(again.session(tmp_path / "x.json"), "gemma3-1b", wanted=("fit",))
    assert [name for name in again.asked if name.startswith("fit")] == ["fit unsloth"]


def test_figures_of_another_card_are_not_gone_on_with(tmp_path, monkeypatch):
    check(Machine().session(tmp_path / "x.json"), "gemma3-1b", wanted=("fit",))
    before = json.loads((tmp_path / "x.json").read_text())
    monkeypatch.setitem(FIGURES, "name", "NVIDIA L4")
    with pytest.raises(UserError, match=r"NVIDIA L4.*H100.*--output"):
        check(Machine().session(tmp_path / "x.json"), "gemma3-4b", wanted=("fit",))
    assert json.loads((tmp_path / "x.json").read_text()) == before


def test_again_measures_everything_anew(tmp_path):
    check(Machine().session(tmp_path / "x.json"), "gemma3-1b", wanted=("fit",))
    machine = Machine()
    check(machine.session(tmp_path / "x.json", again=True), "gemma3-1b", wanted=("fit",))
    assert len(machine.asked) == 5


@pytest.mark.parametrize(("gib", "skipped"), [(14.6, 8), (8.0, 18)])
def test_what_does_not_fit_into_the_card_is_skipped_and_said(gib, skipped, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(FIGURES, "gib", gib)
    monkeypatch.setattr(gpu_check.shutil, "disk_usage", lambda _: SimpleNamespace(free=2**40))
    session = Machine().session(tmp_path / "x.json")
    check(session, "gemma3-12b", "qwen2-14b")
    lines = [line for line in capsys.readouterr().out.splitlines() if "the card has" in line]
    in_file = [key for key, figures in on_disk(session).items() if "skipped" in figures]
    assert len(lines) == len(in_file) == skipped
    assert "score/gemma3-12b/ours, 16-bit" in in_file
    assert ("score/gemma3-12b/ours, 4-bit" in in_file) == (gib < 9)
    assert len(fit.table(session, "qwen2-14b")) == (0 if gib < 9 else 2)


def test_the_verdict_says_met_missed_or_not_measured(tmp_path):
    session = Machine().session(tmp_path / "x.json")
    check(session, "gemma3-12b", wanted=("score",))
    lines = gpu_check.verdict(score.table(session, "gemma3-12b"))["lines"]
    assert [line.split(": ")[1].split(" (")[0] for line in lines] == [
        *["not measured"] * 3,
        "400, met",
        "0.5, met",
    ]
    slow = [{"shape": "gemma3-12b", "way": "ours, 4-bit", "tokens_per_second": 6000.0, "share_of_ceiling": 0.1}]
    assert ["MISSED" in line for line in gpu_check.verdict(slow)["lines"]] == [False] * 3 + [True] * 2


def test_the_fit_table_holds_the_ratio_to_the_plain_way_and_the_share_of_the_ceiling(tmp_path):
    session = Machine().session(tmp_path / "x.json")
    check(session, "gemma3-12b", wanted=("fit",))
    row = fit.table(session, "gemma3-12b")[0]
    assert (row["speed_up"], row["peak_gib_8x128"]) == (1.0, 10.0)
    assert row["share_of_ceiling"] == pytest.approx(6 * 12e9 * 24_000 / 7e14)


def test_tests_are_kept_as_they_end_and_passed_ones_are_not_run_again(tmp_path, monkeypatch):
    lines = []
    outcomes = [("t.py::a", "PASSED"), ("t.py::b", "FAILED")]
    monkeypatch.setattr(gpu_check, "_outcomes", lambda line, seconds: lines.append(line) or iter(outcomes))
    session = Machine().session(tmp_path / "x.json")
    assert gpu_check.run_tests(session, 60) == ["t.py::b"]
    assert on_disk(session)["tests"] == dict(outcomes)
    gpu_check.run_tests(session, 60)
    assert "--deselect=t.py::a" in lines[1] and "--deselect=t.py::b" not in lines[1]


def test_a_part_that_takes_too_long_is_stopped():
    with pytest.raises(PartFailed, match="stopped after 0 s"):
        in_own_process("parts", ["cpu"], 0.1)


# The parts themselves, on the CPU with a tiny model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    random_models.write_benchmark_model(folder, "gemma3-tiny", "cpu")
    return folder


def test_a_checkout_that_is_not_installed_can_run_a_part(tmp_path):
    line = [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {SITE!r}; import benchmarks.gpu.parts"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, env={"PATH": ""})
    assert done.returncode == 0, done.stderr


def test_all_ways_of_scoring_that_are_compared_give_one_score_a_pair(tiny):
    table = score.pairs(96)
    whole, facts = score._ours("ours, 16-bit", tiny, table, "cpu")
    expected = whole()
    shared, fewer = score._ours("ours, 16-bit, common beginning once", tiny, table, "cpu")
    np.testing.assert_allclose(shared(), expected, atol=1e-5)
    assert facts["tokens"] == fewer["tokens"] > fewer["computed"] > 0
    others = [score._other(way, tiny, table, "cpu")[0]() for way in score.OTHERS]
    assert [len(scores) for scores in others] == [64, 64]
    assert np.abs(others[0] - expected[:64]).max() > 1e-3  # the adapter is on


def test_a_fit_is_timed_on_the_cpu_too(tiny, monkeypatch):
    monkeypatch.setenv(launch.CHILD, "")
    figures = fit.measure("plain", str(tiny / "base"), "cpu")
    assert figures["samples_per_second"] > 0 and figures["checkpointing"] is True and figures["micro_batch"] == 8


@needs_gpu
def test_figures_of_a_small_model_on_a_gpu(tmp_path):
    session = Session(Figures(tmp_path / "x.json"), 20)
    check(session, "gemma3-1b", wanted=("fit",))
    row = session.figures.get("fit/gemma3-1b/unsloth")
    assert row["samples_per_second"] > 0 and row["peak_gib"] < 40
