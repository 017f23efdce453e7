import json

import numpy as np
import pandas as pd
import pytest

from competition_utils import paths
from competition_utils.cli.commands import leave_one_language_out as command
from competition_utils.decide.expect import Expected
from competition_utils.errors import UserError
from competition_utils.models import base
from competition_utils.models.base import FitReport
from competition_utils.models.linear import LinearModel
from competition_utils.runs.leave_one_out import comparison, language_splits, leave_one_language_out, with_drops
from competition_utils.storage import write_json

LANGUAGES = ["en", "es", "fr", "ja"]


class Oracle(LinearModel):
    """Scores by a number hidden in the query, and the better the more rows it was fitted on."""

    kind = "oracle"
    fitted_on: list = []  # noqa: RUF012 (the test reads what every instance was given)

    def fit(self, train, valid, *, work_dir, seed):
        self.noise = 200 / len(train)
        Oracle.fitted_on.append((train, valid))
        return FitReport(seed)

    def score(self, pairs):
        number = pairs["query"].str.extract(r"(\d+)$", expand=False).astype(int)
        truth = number.to_numpy() % 2
        noise = (number.to_numpy() * 7919 % 1000) / 1000 - 0.5
        return np.clip(0.5 + 0.3 * (truth - 0.5) + self.noise * noise, 0, 1).astype(np.float32)


def augmented_table(rows=400):
    number = np.arange(rows)
    original = pd.DataFrame({"id": number + 1, "language": np.array(LANGUAGES)[number % 4]})
    original = original.assign(
        query=[f"{of} {i}" for of, i in zip(original["language"], number // 4, strict=True)],
        label=pd.array(number // 4 % 2, dtype="Int8"),
    )
    original = original.assign(fold=(number // 4) % 5, source="original", origin_id=original["id"])
    made = original[original["language"] == "en"].assign(language="fr", source="translated")
    made["id"] = np.arange(len(made)) + rows + 1
    return pd.concat([original, made], ignore_index=True)


def splits(table, with_augmentation):
    return {split.language: split for split in language_splits(table, with_augmentation)}


@pytest.mark.parametrize("with_augmentation", [True, False])
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_label_of_the_language_left_out_is_fitted_on(language, with_augmentation):
    table = augmented_table()
    split = splits(table, with_augmentation)[language]
    own = set(table.loc[(table["language"] == language) & (table["source"] == "original"), "id"])
    assert not own & set(split.fit["origin_id"])
    assert not own & set(split.valid["origin_id"])
    assert set(split.out["id"]) == own


def test_rows_made_for_the_language_left_out_serve_to_fit_only_with_augmentation():
    fits = [splits(augmented_table(), way)["fr"].fit for way in (False, True)]
    # 100 rows were translated from English, a fifth of them lies in the validation fold
    assert [(fit["language"] == "fr").sum() for fit in fits] == [0, 80]


def test_created_rows_never_validate_and_no_fold_is_on_both_sides():
    split = splits(augmented_table(), with_augmentation=True)["fr"]
    assert set(split.valid["source"]) == {"original"}
    assert not set(split.fit["fold"]) & set(split.valid["fold"])


def test_each_language_is_reported_and_all_of_them_together(tmp_path):
    left_out = leave_one_language_out(
        augmented_table(), lambda: Oracle({}), work_dir=tmp_path, seed=0, with_augmentation=True, resamples=50
    )
    assert left_out.by_language.index.tolist() == LANGUAGES
    assert left_out.by_language["created_rows"].tolist() == [0, 0, 80, 0]
    assert left_out.by_language["rows"].sum() == 400
    assert left_out.f1_interval[0] <= left_out.f1 <= left_out.f1_interval[1]
    assert (left_out.by_language["f1"] <= left_out.by_language["f1_own"]).all()


def test_augmentation_is_compared_both_ways(tmp_path):
    ways = [
        leave_one_language_out(
            augmented_table(),
            lambda: Oracle({}),
            work_dir=tmp_path,
            seed=0,
            with_augmentation=way,
            resamples=20,
        )
        for way in (False, True)
    ]
    table = comparison(ways)
    assert list(table) == ["rows", "f1_without augmentation", "f1_with augmentation"]
    assert table.index.tolist() == [*LANGUAGES, "all languages"]
    assert table.loc["all languages", "f1_with augmentation"] > table.loc["all languages", "f1_without augmentation"]


class KnowsItsLanguages(Oracle):
    """Always right on the languages that it was fitted on, always wrong on others."""

    def fit(self, train, valid, *, work_dir, seed):
        self.known = set(train["language"])
        Oracle.fitted_on.append((train, valid))
        return FitReport(seed)

    def score(self, pairs):
        truth = pairs["query"].str.extract(r"(\d+)$", expand=False).astype(int).to_numpy() % 2
        return np.where(pairs["language"].isin(self.known), truth, 1 - truth).astype(np.float32)


def test_the_drop_is_what_the_rows_of_a_language_have_more_where_it_is_fitted_on(tmp_path):
    left_out = leave_one_language_out(
        augmented_table(),
        lambda: KnowsItsLanguages({}),
        work_dir=tmp_path,
        seed=0,
        with_augmentation=False,
        resamples=20,
    )
    assert left_out.f1 == 0.0
    assert (left_out.drop, left_out.drop_interval) == (1.0, (1.0, 1.0))


def test_what_labels_of_a_language_are_worth_is_taken_off_what_to_expect(tmp_path):
    given = {"work_dir": tmp_path, "seed": 0, "with_augmentation": False, "resamples": 20}
    left_out = leave_one_language_out(augmented_table(), lambda: KnowsItsLanguages({}), **given)
    as_read = Expected(f1=0.9, drawn=np.full(20, 0.9), seen_f1=0.95, rows=10, covered=1.0)
    expected = with_drops({"QC": as_read, "QI": as_read, "none": None}, {"QC": [left_out], "none": [left_out]})
    assert expected["QC"].f1 == pytest.approx(-0.1)
    np.testing.assert_allclose(expected["QC"].drawn, -0.1)
    assert expected["QI"] is as_read and expected["none"] is None


def test_each_fit_sees_no_more_rows_than_asked_for_and_measures_on_all_of_them(tmp_path):
    Oracle.fitted_on.clear()
    given = {"work_dir": tmp_path, "seed": 0, "with_augmentation": True, "resamples": 20}
    left_out = leave_one_language_out(augmented_table(), lambda: Oracle({}), **given, rows=100)
    assert [len(train) for train, _ in Oracle.fitted_on] == [100] * 5
    assert left_out.by_language["rows"].sum() == 400


def test_one_language_cannot_be_left_out(tmp_path):
    table = augmented_table().query("language == 'en'")
    with pytest.raises(UserError, match="found 1"):
        leave_one_language_out(table, lambda: Oracle({}), work_dir=tmp_path, seed=0, with_augmentation=False)


@pytest.fixture
def run_with_oracle(tmp_path, monkeypatch):
    monkeypatch.setenv(paths.ROOT_VARIABLE, str(tmp_path))
    monkeypatch.setattr(base, "_class_of", lambda kind: Oracle)
    folder = tmp_path / "papermill_runs" / "sample" / "augmentation"
    folder.mkdir(parents=True)
    augmented_table().to_parquet(folder / "QC_train.parquet")
    return folder.parent


def arguments(*given):
    import argparse

    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(given)


def test_the_command_prints_what_a_language_loses_and_writes_it(run_with_oracle, capsys):
    assert command.run(arguments("sample", "--task", "QC")) == 0
    printed = capsys.readouterr().out
    assert "below a fit with all languages, with augmentation" in printed and "expect" not in printed
    content = json.loads((run_with_oracle / "leave_one_language_out" / "QC.json").read_text())
    assert [way["with_augmentation"] for way in content["ways"]] == [False, True]


def test_the_command_takes_it_off_what_the_run_expects(run_with_oracle, capsys):
    found = {"expected_on_unseen": {"QC": {"f1": 0.9}}}
    write_json(run_with_oracle / "threshold_tuning" / "metrics.json", found)
    command.run(arguments("sample", "--task", "QC"))
    content = json.loads((run_with_oracle / "leave_one_language_out" / "QC.json").read_text())
    assert f"expect {0.9 - content['ways'][-1]['drop']:.4f} on the run's unseen languages" in capsys.readouterr().out


def test_an_unknown_run_is_refused_with_the_runs_there_are(run_with_oracle):
    with pytest.raises(UserError, match="There are: sample"):
        command.run(arguments("sampel"))


def test_a_run_without_the_stage_is_reported_which_to_run(run_with_oracle):
    with pytest.raises(UserError, match="Run stage augmentation"):
        command.run(arguments("sample", "--task", "QI"))


def test_settings_that_are_no_mapping_are_refused(run_with_oracle):
    with pytest.raises(UserError, match="--settings: expected a mapping"):
        command.run(arguments("sample", "--settings", "epochs"))
