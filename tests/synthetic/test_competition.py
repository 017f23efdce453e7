"""The built-in sample competition behaves like the real one, and no shortcut solves it."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from competition_utils.cli.commands import sample as command
from competition_utils.data.lexicon import LANGUAGES, load_lexicon, names
from competition_utils.errors import UserError
from competition_utils.storage import hash_file
from competition_utils.synthetic.competition import make_sample
from competition_utils.tasks import QC, QI, SPLITS, TASKS, Task

RATES = {
    "QC": {"en": 0.67, "es": 0.71, "fr": 0.70, "ja": 0.79, "ko": 0.59, "pt": 0.70},
    "QI": {"en": 0.63, "es": 0.68, "fr": 0.64, "ja": 0.62, "ko": 0.60, "pt": 0.65, "th": 0.55},
}
both_tasks = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


def read(folder: Path, task: Task, split: str) -> pd.DataFrame:
    """A file's rows as written, with `target`, and `y` as 0/1 where there are labels."""
    lines = (folder / task.file_name(split)).read_text(encoding="utf-8").splitlines()
    rows = pd.DataFrame([json.loads(line) for line in lines])
    rows["target"] = rows[task.target_field]
    return rows.assign(y=rows["label"].astype(int)) if "label" in rows else rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample of default size."""
    path = tmp_path_factory.mktemp("sample")
    make_sample(path)
    return path


@pytest.fixture(scope="module")
def tables(folder: Path) -> dict[tuple[str, str], pd.DataFrame]:
    return {(task.name, split): read(folder, task, split) for task in TASKS.values() for split in SPLITS}


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hash_file(path) for path in folder.iterdir()}


# --- The files


def test_a_line_has_the_official_fields_in_the_official_order(folder):
    first = (folder / "train_QC.txt").read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith('{"id": 1, "task": "QC", "language": "')
    assert list(json.loads(first)) == ["id", "task", "language", "origin_query", "category_path", "label"]
    first = (folder / "test_QI.txt").read_text(encoding="utf-8").splitlines()[0]
    assert list(json.loads(first)) == ["id", "task", "language", "origin_query", "item_title"]


@both_tasks
def test_ids_count_from_one_in_each_file(tables, task):
    for split in SPLITS:
        rows = tables[task.name, split]
        assert rows["id"].tolist() == list(range(1, len(rows) + 1))


@both_tasks
def test_answers_lie_beside_the_test_file_in_its_order(folder, tables, task):
    answers = pd.read_csv(folder / f"test_{task.name}_answers.csv")
    assert answers.columns.tolist() == ["id", "label"]
    assert answers["id"].tolist() == tables[task.name, "test"]["id"].tolist()
    assert set(answers["label"]) == {0, 1}


def test_the_lexicon_file_holds_whole_terms_and_leaves_some_out(folder):
    written = pd.read_csv(folder / "lexicon.tsv", sep="\t", dtype=str, keep_default_na=False)
    every = load_lexicon().pairs()
    assert written.columns.tolist() == ["source_lang", "source_text", "target_lang", "target_text"]
    assert len(written) / len(every) == pytest.approx(0.85, abs=0.02)
    key = ["source_lang", "source_text", "target_lang"]
    assert set(written[key].itertuples(index=False, name=None)) <= set(every[key].itertuples(index=False, name=None))


def test_equal_settings_give_equal_bytes_and_another_seed_other_rows(tmp_path):
    one, same, other = tmp_path / "one", tmp_path / "same", tmp_path / "other"
    for path, seed in ((one, 3), (same, 3), (other, 4)):
        make_sample(path, rows=300, dev_rows=150, test_rows=150, seed=seed)
    assert hashes(one) == hashes(same)
    assert hashes(one)["train_QC.txt"] != hashes(other)["train_QC.txt"]


@pytest.mark.parametrize("seed", range(4))
def test_the_smallest_sample_has_all_its_rows(tmp_path, seed):
    files = make_sample(tmp_path, rows=100, dev_rows=100, test_rows=100, seed=seed)["files"]
    assert all(files[f"{split}_{task}.txt"] == 100 for split in SPLITS for task in TASKS)


# --- The folder


def test_a_folder_with_anything_else_in_it_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="expected an empty folder"):
        make_sample(tmp_path, rows=100, dev_rows=100, test_rows=100)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_the_same_sample_is_not_written_twice(tmp_path):
    sizes = {"rows": 100, "dev_rows": 100, "test_rows": 100}
    assert make_sample(tmp_path, **sizes)["written"]
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert not make_sample(tmp_path, **sizes)["written"]
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_a_sample_that_was_cut_short_is_written_anew(tmp_path):
    sizes = {"rows": 100, "dev_rows": 100, "test_rows": 100}
    make_sample(tmp_path, **sizes)
    whole = hashes(tmp_path)
    mark = json.loads((tmp_path / "sample.json").read_text())
    (tmp_path / "sample.json").write_text(json.dumps(mark | {"complete": False}))
    (tmp_path / "test_QI.txt").unlink()
    assert make_sample(tmp_path, **sizes)["written"]
    assert hashes(tmp_path) == whole


@pytest.mark.parametrize("wrong", [{"rows": 20}, {"dev_rows": 0}, {"test_rows": -1}, {"seed": -1}])
def test_sizes_too_small_are_refused_before_anything_is_written(tmp_path, wrong):
    with pytest.raises(UserError, match="expected at least"):
        make_sample(tmp_path / "new", **wrong)
    assert not (tmp_path / "new").exists()


def test_the_command_says_what_it_wrote_and_then_that_it_is_there(tmp_path, capsys):
    parser = ArgumentParser()
    command.add_arguments(parser)
    sizes = ["--rows", "100", "--dev-rows", "100", "--test-rows", "100"]
    args = parser.parse_args(["--out", str(tmp_path / "data"), *sizes])
    assert command.run(args) == 0
    assert "train_QC.txt" in capsys.readouterr().out
    assert command.run(args) == 0
    assert "already holds this sample" in capsys.readouterr().out


# --- Languages and labels


@both_tasks
def test_train_has_its_languages_in_equal_shares(tables, task):
    counts = tables[task.name, "train"]["language"].value_counts()
    assert set(counts.index) == set(task.train_languages)
    assert counts.max() - counts.min() <= 1


@both_tasks
@pytest.mark.parametrize("split", ["dev", "test"])
def test_dev_and_test_add_the_unseen_languages_and_a_little_of_one_nobody_trains_on(tables, task, split):
    shares = tables[task.name, split]["language"].value_counts(normalize=True)
    assert set(shares.index) == {*task.languages, "tr"}
    assert shares["tr"] == pytest.approx(0.02)
    assert shares.drop("tr").max() < 1.1 * shares.drop("tr").min()


@both_tasks
def test_positive_rates_are_the_competitions(tables, task):
    train, dev = tables[task.name, "train"], tables[task.name, "dev"]
    found = train.groupby("language")["y"].mean()
    assert (found - pd.Series(RATES[task.name])).abs().max() < 0.03
    assert dev.groupby("language")["y"].mean().sub(found).abs().max() < 0.04


@both_tasks
def test_an_untrained_language_has_the_tasks_mean_rate(tables, task):
    dev = tables[task.name, "dev"]
    unseen = dev[dev["language"].isin(task.unseen_languages)]
    assert unseen["y"].mean() == pytest.approx({"QC": 0.69, "QI": 0.62}[task.name], abs=0.01)


@both_tasks
def test_queries_have_several_targets(tables, task):
    rows = tables[task.name, "train"]
    assert len(rows) / rows["origin_query"].nunique() == pytest.approx({"QC": 1.6, "QI": 3.0}[task.name], rel=0.1)


# --- Traps


@both_tasks
def test_a_seventh_of_the_rows_tagged_english_are_in_another_language(tables, task):
    english = tables[task.name, "train"].query("language == 'en'")
    asian = english["origin_query"].str.contains(r"[\u0e00-\u0e7f\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")
    # ja and ko are two of QC's five other languages, ja, ko and th three of QI's six.
    assert asian.mean() == pytest.approx(0.14 * {"QC": 2 / 5, "QI": 3 / 6}[task.name], abs=0.025)


@both_tasks
def test_some_queries_read_like_a_missing_value(tables, task):
    queries = set(tables[task.name, "train"]["origin_query"])
    assert {"nan", "null", "none"} <= queries


@both_tasks
def test_some_labels_are_texts(tables, task):
    for split in ("train", "dev"):
        assert 0 < tables[task.name, split]["label"].isin(["0", "1"]).mean() < 0.05


def test_a_few_titles_are_null_in_train_and_dev_only(tables):
    assert {split: int(tables["QI", split]["item_title"].isna().sum()) for split in SPLITS} == {
        "train": 8,
        "dev": 1,
        "test": 0,
    }


def test_titles_have_the_length_and_the_languages_of_a_marketplace(tables):
    titles = tables["QI", "train"]["item_title"].dropna()
    assert titles.str.len().between(40, 130).mean() > 0.99
    assert titles.str.contains(r"[\u0e00-\u0e7f]").mean() == pytest.approx(0.09, abs=0.02)
    assert titles.str.contains("pambabae|sulit|matibay|mura lang|de kalidad", case=False).any()


def share_labelled_wrong(rows: pd.DataFrame) -> float:
    """Of the rows that pair a category's own name with its own path, which fits by any reading, the share with 0."""
    concepts = load_lexicon().concepts
    cells = concepts.melt("path", list(LANGUAGES), var_name="language", value_name="name")
    cells = cells.assign(name=cells["name"].map(names)).explode("name")
    plain = set(zip(cells["name"].str.lower(), cells["path"], strict=True))
    fits = [pair in plain for pair in zip(rows["origin_query"].str.lower(), rows["category_path"], strict=True)]
    return 1 - rows.loc[fits, "y"].mean()


def test_about_four_in_a_hundred_labels_are_wrong_in_train_and_none_in_dev(tables):
    assert share_labelled_wrong(tables["QC", "train"]) == pytest.approx(0.04, abs=0.02)
    assert share_labelled_wrong(tables["QC", "dev"]) == 0


# --- What is new in dev and test


@both_tasks
def test_no_query_of_train_is_asked_again_in_dev_or_test(tables, task):
    asked = {split: set(tables[task.name, split]["origin_query"].str.lower()) for split in SPLITS}
    assert not asked["train"] & (asked["dev"] | asked["test"])
    assert not asked["dev"] & asked["test"]


def test_dev_and_test_have_categories_that_train_never_names(tables):
    known = set(tables["QC", "train"]["category_path"])
    known |= {path.rpartition(",")[0] for path in known}
    concepts = set(load_lexicon().concepts["path"])
    for split in ("dev", "test"):
        paths = tables["QC", split]["category_path"]
        assert 0.05 < (paths.isin(concepts) & ~paths.isin(known)).mean() / paths.isin(concepts).mean() < 0.25


# --- No shortcut


def surface(texts: pd.Series, counted: pd.Series) -> np.ndarray:
    """What one sees of a text without reading it; `counted` holds the texts that its frequency is counted in."""
    texts = texts.fillna("")
    return np.column_stack(
        [
            texts.str.len(),
            texts.str.split().str.len(),
            texts.str.count(","),
            texts.str.count(r"\d"),
            texts.str.count("[A-Z]") / texts.str.len().clip(lower=1),
            texts.str.count(r"[^\x00-\x7f]"),
            texts.str.split(r"[,\s]").str[-1].str.len(),
            texts.map(counted.value_counts()).fillna(0),
        ]
    )


def tree_auc(train_x: np.ndarray, train: pd.DataFrame, dev_x: np.ndarray, dev: pd.DataFrame) -> float:
    tree = DecisionTreeClassifier(max_depth=6, min_samples_leaf=20, random_state=0)
    return roc_auc_score(dev["y"], tree.fit(train_x, train["y"]).predict_proba(dev_x)[:, 1])


@both_tasks
@pytest.mark.parametrize("counted_in", ["own file", "train"])
def test_surface_features_of_the_target_alone_say_nothing(tables, task, counted_in):
    train, dev = tables[task.name, "train"], tables[task.name, "dev"]
    counted = dev if counted_in == "own file" else train
    x, z = surface(train["target"], train["target"]), surface(dev["target"], counted["target"])
    assert tree_auc(x, train, z, dev) < 0.60


@both_tasks
@pytest.mark.parametrize("counted_in", ["own file", "train"])
def test_surface_features_of_the_query_alone_say_nothing(tables, task, counted_in):
    train, dev = tables[task.name, "train"], tables[task.name, "dev"]
    counted = dev if counted_in == "own file" else train
    codes = {language: code for code, language in enumerate([*task.languages, "tr"])}
    x, z = (
        np.column_stack([surface(rows["origin_query"], others["origin_query"]), rows["language"].map(codes)])
        for rows, others in ((train, train), (dev, counted))
    )
    assert tree_auc(x, train, z, dev) < 0.60


@both_tasks
@pytest.mark.parametrize("field", ["target", "origin_query"])
def test_the_words_of_one_side_alone_say_nothing(tables, task, field):
    train, dev = tables[task.name, "train"], tables[task.name, "dev"]
    words = TfidfVectorizer(sublinear_tf=True)
    model = LogisticRegression(max_iter=300).fit(words.fit_transform(train[field].fillna("")), train["y"])
    assert roc_auc_score(dev["y"], model.predict_proba(words.transform(dev[field].fillna("")))[:, 1]) < 0.60


def test_reading_both_sides_pays(tables):
    """English queries alone: words shared with the target separate right from wrong far better than chance."""
    for task, least in ((QC, 0.75), (QI, 0.65)):
        dev = tables[task.name, "dev"].query("language == 'en'")
        pairs = zip(dev["origin_query"].str.lower(), dev["target"].fillna("").str.lower(), strict=True)
        shared = [np.mean([word[:4] in target for word in query.split()]) for query, target in pairs]
        assert roc_auc_score(dev["y"], shared) > least
