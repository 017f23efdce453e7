import gzip
import json

import numpy as np
import pandas as pd
import pytest

from competition_utils.category_tree.hints import HintWriter
from competition_utils.category_tree.tree import CategoryTree
from competition_utils.cli.main import main
from competition_utils.errors import DataError, UserError
from competition_utils.models.base import new_model
from competition_utils.runs.scoring import score_file as module
from competition_utils.runs.scoring.score_file import score_file

WORDS = ["shoe", "lamp", "ring", "drum"]


def official(path, rows):
    lines = [
        {"id": n, "task": "QI", "language": "en", "origin_query": query, "item_title": title}
        for n, query, title in rows
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


ROWS = [(7, "shoe", "shoe"), (3, "lamp", "ring"), (9, "drum", None), (4, "lamp", "lamp")]


@pytest.mark.parametrize("name", ["scores.csv", "scores.parquet", "scores.jsonl"])
def test_every_id_comes_out_once_in_the_order_of_the_file(model, tmp_path, name):
    score_file(model, official(tmp_path / "test_QI.txt", ROWS), tmp_path / name)
    readers = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".jsonl": lambda p: pd.read_json(p, lines=True)}
    scores = readers[(tmp_path / name).suffix](tmp_path / name)
    assert scores["id"].tolist() == [7, 3, 9, 4]
    assert scores["score"].iloc[[0, 3]].min() > scores["score"].iloc[[1, 2]].max()


def test_plain_columns_query_and_target_are_enough(model, tmp_path):
    pd.DataFrame({"query": ["shoe", "nan"], "target": ["shoe", "ring"]}).to_csv(tmp_path / "pairs.csv", index=False)
    score_file(model, tmp_path / "pairs.csv", tmp_path / "scores.csv")
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert scores["id"].tolist() == [1, 2]
    assert scores["score"].iloc[0] > scores["score"].iloc[1]


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.jsonl", "pairs.parquet"])
def test_rows_read_in_chunks_come_out_once_and_in_order(model, tmp_path, monkeypatch, name):
    monkeypatch.setattr(module, "CHUNK_ROWS", 3)
    given = pd.DataFrame({"id": np.arange(10)[::-1] + 100, "query": np.resize(WORDS, 10), "target": "lamp"})
    writers = {
        ".csv": lambda path: given.to_csv(path, index=False),
        ".jsonl": lambda path: given.to_json(path, orient="records", lines=True),
        ".parquet": given.to_parquet,
    }
    writers[(tmp_path / name).suffix](tmp_path / name)
    score_file(model, tmp_path / name, tmp_path / "scores.csv")
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert scores["id"].tolist() == given["id"].tolist()
    assert (scores["score"] > 0.5).tolist() == (given["query"] == "lamp").tolist()


def test_a_field_that_only_later_rows_have_is_read(model, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK_ROWS", 2)
    rows = [{"query": "shoe", "target": "shoe"}] * 3 + [{"query": "shoe", "target": None, "language": "de"}]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    score_file(model, tmp_path / "pairs.jsonl", tmp_path / "scores.csv")
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert scores["language"].tolist() == ["und", "und", "und", "de"]
    assert scores["id"].tolist() == [1, 2, 3, 4]


def test_a_csv_with_a_head_only_is_refused(model, tmp_path):
    (tmp_path / "pairs.csv").write_text("query,target\n")
    with pytest.raises(UserError, match="input: expected rows with query and target, found only their names"):
        score_file(model, tmp_path / "pairs.csv", tmp_path / "scores.csv")


def test_the_lexicon_beside_the_input_translates_its_queries(model, tmp_path):
    source = official(tmp_path / "test_QI.txt", [(1, "zapato", "shoe"), (2, "zapato", "ring")])
    source.write_text(source.read_text().replace('"en"', '"es"'))
    lexicon = "source_lang\tsource_text\ttarget_lang\ttarget_text\nes\tzapato\ten\tshoe\n"
    (tmp_path / "lexicon.tsv").write_text(lexicon)
    score_file(model, source, tmp_path / "scores.csv")
    scores = pd.read_csv(tmp_path / "scores.csv")["score"]
    assert scores[0] > scores[1] + 0.2


def test_a_word_of_several_meanings_is_read_as_each_target_has_it(model, tmp_path):
    source = official(tmp_path / "test_QI.txt", [(1, "zapato", "shoe"), (2, "zapato", "ring")])
    source.write_text(source.read_text().replace('"en"', '"es"'))
    lines = ["source_lang\tsource_text\ttarget_lang\ttarget_text", "es\tzapato\ten\tshoe", "es\tzapato\ten\tring"]
    (tmp_path / "lexicon.tsv").write_text("\n".join(lines) + "\n")
    score_file(model, source, tmp_path / "scores.csv")
    scores = pd.read_csv(tmp_path / "scores.csv")["score"]
    assert abs(scores[0] - scores[1]) < 0.2 and scores.min() > 0.5


def test_the_lexicon_beside_the_input_translates_titles_in_other_languages(model, tmp_path):
    source = official(
        tmp_path / "test_QI.txt", [(1, "shoe", "giày thể thao màu đỏ"), (2, "ring", "giày thể thao màu đỏ")]
    )
    lexicon = "source_lang\tsource_text\ttarget_lang\ttarget_text\nvn\tgiày thể thao màu đỏ\ten\tshoe\n"
    (tmp_path / "lexicon.tsv").write_text(lexicon)
    score_file(model, source, tmp_path / "scores.csv")
    scores = pd.read_csv(tmp_path / "scores.csv")["score"]
    assert scores[0] > scores[1] + 0.2


def test_a_second_call_scores_nothing_anew(model, tmp_path, monkeypatch):
    source = official(tmp_path / "test_QI.txt", ROWS)
    score_file(model, source, tmp_path / "first.csv")

    def refuse(self, pairs):
        raise AssertionError("scored again")

    monkeypatch.setattr("competition_utils.models.linear.LinearModel.score", refuse)
    score_file(model, source, tmp_path / "second.csv")
    assert (tmp_path / "second.csv").read_bytes() == (tmp_path / "first.csv").read_bytes()


def test_an_output_of_unknown_kind_is_refused_before_any_work(tmp_path):
    with pytest.raises(UserError, match=r"output: expected a name that ends in \.csv"):
        score_file(tmp_path / "no model", tmp_path / "no input", tmp_path / "scores.xls")


def test_a_file_with_other_fields_is_reported_with_what_it_has(model, tmp_path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"or with query and target; found a, b in"):
        score_file(model, tmp_path / "other.csv", tmp_path / "scores.csv")


def test_faults_of_the_input_are_named_and_nothing_is_written(model, tmp_path):
    source = official(tmp_path / "test_QI.txt", [*ROWS, (7, "shoe", "ring")])
    with pytest.raises(DataError, match=r"test_QI\.txt:5"):
        score_file(model, source, tmp_path / "scores.csv")
    assert not (tmp_path / "scores.csv").exists()


def test_the_command_prints_how_many_pairs_and_how_fast(model, tmp_path, capsys):
    source = official(tmp_path / "test_QI.txt", ROWS)
    status = main(["score", "--model", str(model), "--input", str(source), "--output", str(tmp_path / "s.csv")])
    assert status == 0
    assert "4 pairs scored in" in capsys.readouterr().out


def test_a_folder_without_a_model_gives_one_message_and_status_2(tmp_path, capsys):
    source = official(tmp_path / "test_QI.txt", ROWS)
    status = main(["score", "--model", str(tmp_path), "--input", str(source), "--output", str(tmp_path / "s.csv")])
    assert status == 2
    assert "model folder: expected" in capsys.readouterr().err


def test_a_setting_may_be_given_instead_of_the_saved_one_and_has_scores_of_its_own_in_the_cache(model, tmp_path):
    source = official(tmp_path / "test_QI.txt", ROWS)
    score_file(model, source, tmp_path / "scores.csv")
    score_file(model, source, tmp_path / "scores.csv", overrides={"c": 2.0})
    assert len(list((tmp_path / "project" / ".cache" / "scores").iterdir())) == 2


def test_a_setting_that_the_model_does_not_have_ends_with_status_2(model, tmp_path, capsys):
    source = official(tmp_path / "test_QI.txt", ROWS)
    call = ["score", "--model", str(model), "--input", str(source), "--output", str(tmp_path / "scores.csv")]
    assert main([*call, "-p", "d=2.0"]) == 2
    assert "d: no such setting" in capsys.readouterr().err
    assert main([*call, "-p", "d"]) == 2
    assert "expected KEY=VALUE" in capsys.readouterr().err


DAMAGED_INPUTS = {
    "cells_too_many.csv": b"query,target\na,b\nc,d,e,f\n",
    "broken_quote.csv": b'query,target\na,"b\n',
    "cut_line.jsonl": b'{"query": "a", "target": "b"}\n{"query": "a", "tar',
    "cut.csv.gz": gzip.compress(b"query,target\n" + b"a,b\n" * 10_000)[:-20],
}


@pytest.mark.parametrize("name", DAMAGED_INPUTS)
def test_a_damaged_input_with_plain_columns_is_one_clear_error(tmp_path, name):
    (tmp_path / name).write_bytes(DAMAGED_INPUTS[name])
    with pytest.raises(UserError, match=r"input .*expected rows with query and target, found"):
        score_file(tmp_path / "no_model", tmp_path / name, tmp_path / "out.csv")


def test_pairs_get_the_hints_that_the_model_was_fitted_with(tmp_path):
    paths = ["home,decor,vases", "home,kitchen,jugs", "toys,dolls"]
    names = [path.split(",")[-1] for path in paths]
    rows = [(query, path) for query in names for path in paths]
    train = pd.DataFrame(rows * 10, columns=["query", "target"]).assign(task="QC", language="en", query_en="")
    train["label"] = (train["query"] == train["target"].str.split(",").str[-1]).astype(int)
    writer = HintWriter.measured(CategoryTree(paths), train)
    fitted = new_model("linear", {})
    hinted = train.assign(category_hint=writer.hints(train), target_en="")
    fitted.fit(hinted, hinted, work_dir=tmp_path, seed=0)
    folder = tmp_path / "model"
    folder.mkdir()
    writer.save(folder)
    fitted.save(folder)
    hinted[["query", "target"]].to_csv(tmp_path / "pairs.csv", index=False)
    score_file(folder, tmp_path / "pairs.csv", tmp_path / "scores.csv", task="QC")
    np.testing.assert_allclose(pd.read_csv(tmp_path / "scores.csv")["score"], fitted.score(hinted), atol=1e-6)
    assert not np.allclose(fitted.score(hinted), fitted.score(hinted.assign(category_hint="")), atol=1e-3)
