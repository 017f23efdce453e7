"""`compare`, `blend` and `thresholds` on made-up runs."""

import argparse
import json

import numpy as np
import pandas as pd
import pytest

from competition_utils import paths
from competition_utils.cli.commands import blend, compare, thresholds
from competition_utils.decide.decisions import decide, read_scores
from competition_utils.errors import DataError, UserError
from competition_utils.runs.artefacts import artefact_reader

ROWS = 900


def write_run(folder, noise, seed):
    """Augmented tables (the same in each run), scores that follow the labels as far as `noise` lets them,
    decisions."""
    rng = np.random.default_rng(0)
    scores = []
    for split, name in (("valid", "train"), ("dev", "dev"), ("test", "test")):
        table = pd.DataFrame({"id": np.arange(ROWS) + 1, "task": "QC", "source": "original"})
        languages = ["en", "fr"] if split == "valid" else ["en", "fr", "pl"]
        table = table.assign(language=rng.choice(languages, ROWS), query=rng.integers(0, ROWS // 2, ROWS).astype(str))
        table = table.assign(target="shoes,boots", label=pd.array(rng.integers(0, 2, ROWS), dtype="Int8"))
        log_odds = 2 * table["label"].astype(float) - 1 + np.random.default_rng(seed).normal(0, noise, ROWS)
        made = table[["id", "task", "language"]].assign(score=(1 / (1 + np.exp(-log_odds))).astype(np.float32))
        fold = np.arange(ROWS) % 5 if split == "valid" else -1
        scores.append(made.assign(fold=fold, split=split))
        table = table.drop(columns="label") if split == "test" else table
        write(folder, "augmentation", f"QC_{name}", table)
    write(folder, "finetune", "QC_scores", pd.concat(scores, ignore_index=True))
    decisions = decide(read_scores("QC", artefact_reader(folder)), resamples=50).decisions
    write(folder, "threshold_tuning", "QC_decisions", decisions)


def write(folder, stage, name, table):
    (folder / stage).mkdir(parents=True, exist_ok=True)
    table.to_parquet(folder / stage / f"{name}.parquet", index=False)


@pytest.fixture(scope="module")
def made_runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    for name, noise, seed in (("good", 1.0, 1), ("also_good", 1.0, 2), ("bad", 4.0, 3)):
        write_run(root / "papermill_runs" / name, noise, seed)
    return root


@pytest.fixture
def project(made_runs, monkeypatch):
    monkeypatch.setenv(paths.ROOT_VARIABLE, str(made_runs))
    return made_runs / "papermill_runs"


def run(command, *given):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([*given, "--task", "QC"]))


def test_compare_tells_all_seen_and_unseen_languages_of_dev(project, capsys):
    assert run(compare, "bad", "good") == 0
    printed = capsys.readouterr().out
    assert "QC, all: 900 rows of dev" in printed
    assert "QC, unseen languages" in printed
    assert "p_value" in printed
    assert "figure  papermill_runs/comparison.png" in printed
    assert (project / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_comparison_leaves_the_same_bytes(project):
    drawn = []
    for _ in range(2):
        assert run(compare, "bad", "good") == 0
        drawn.append([(project / name).read_bytes() for name in ("comparison.svg", "comparison.png")])
    assert drawn[0] == drawn[1]


def test_compare_falls_back_on_valid_rows_where_dev_has_no_labels(project, capsys, tmp_path):
    for name in ("good", "bad"):
        read = artefact_reader(project / name)
        for stage, table in (("augmentation", "QC_train"), ("threshold_tuning", "QC_decisions")):
            write(tmp_path / name, stage, table, read(table, of=stage))
        dev = read("QC_dev", of="augmentation").drop(columns="label")
        write(tmp_path / name, "augmentation", "QC_dev", dev)
    assert run(compare, str(tmp_path / "good"), str(tmp_path / "bad")) == 0
    assert "QC, all: 900 rows of valid" in capsys.readouterr().out


def test_compare_refuses_runs_on_other_data(project, tmp_path):
    read = artefact_reader(project / "good")
    for stage, table in (("augmentation", "QC_train"), ("threshold_tuning", "QC_decisions")):
        write(tmp_path / "other", stage, table, read(table, of=stage))
    write(tmp_path / "other", "augmentation", "QC_dev", read("QC_dev", of="augmentation").assign(query="other"))
    with pytest.raises(DataError, match="same data"):
        run(compare, "good", str(tmp_path / "other"))


def test_compare_refuses_a_run_twice(project):
    with pytest.raises(UserError, match="different names"):
        run(compare, "good", "good")


def test_blend_writes_a_folder_that_the_next_stage_reads(project, capsys):
    assert run(blend, "good", "also_good", "bad", "--out", "blended") == 0
    printed = capsys.readouterr().out
    assert "over the best member +" in printed
    decided = decide(read_scores("QC", artefact_reader(project / "blended")), resamples=50)
    alone = decide(read_scores("QC", artefact_reader(project / "good")), resamples=50)
    assert decided.metrics["f1"] > alone.metrics["f1"]
    content = json.loads((project / "blended" / "finetune" / "QC_blend.json").read_text())
    assert content["runs"] == ["good", "also_good", "bad"]
    assert not content["members"]["bad"]["kept"]


def test_blend_leaves_a_run_that_is_there_alone(project):
    with pytest.raises(UserError, match="expected --out to name a new run"):
        run(blend, "good", "also_good", "--out", "bad")


def test_blend_refuses_runs_with_other_folds_and_writes_nothing(project, tmp_path):
    scores = artefact_reader(project / "good")("QC_scores", of="finetune")
    write(tmp_path / "folds", "finetune", "QC_scores", scores.assign(fold=scores["fold"].clip(upper=2)))
    with pytest.raises(DataError, match="same rows in the same folds"):
        run(blend, "good", str(tmp_path / "folds"), "--out", "never")
    assert not (project / "never").exists()


def test_thresholds_tells_the_rule_why_and_what_it_reaches(project, capsys, tmp_path):
    assert run(thresholds, "good", "--resamples", "50", "--output", str(tmp_path / "rules.json")) == 0
    printed = capsys.readouterr().out
    assert "QC: single: thresholds per language change F1 by" in printed
    assert "measured on dev" in printed
    assert json.loads((tmp_path / "rules.json").read_text())["QC"]["name"] == "single"
