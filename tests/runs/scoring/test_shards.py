"""A folder of parquet shards: each row scored once, in the shard that it came in, whatever happens meanwhile."""

from __future__ import annotations

import subprocess
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from competition_utils.cli.main import main
from competition_utils.errors import DataError, UserError
from competition_utils.models.linear import LinearModel
from competition_utils.runs.scoring import shard_rows
from competition_utils.runs.scoring.score_file import score_file
from competition_utils.runs.scoring.shards import score_shards

WORDS = ["shoe", "lamp", "ring", "drum"]


def pairs(*ids):
    """Plain pairs, of which those with an even id are relevant."""
    words = [(WORDS[n % 4], WORDS[(n + n % 2) % 4]) for n in ids]
    return pd.DataFrame({"id": ids, "language": "en", "query": [q for q, _ in words], "target": [t for _, t in words]})


@pytest.fixture
def shards(tmp_path):
    """Three shards of four rows."""
    folder = tmp_path / "shards"
    folder.mkdir()
    for number in range(3):
        ids = range(4 * number, 4 * number + 4)
        pairs(*ids).to_parquet(folder / f"part-{number}.parquet")
    return folder


def read(folder):
    """All scores, as whoever reads the folder as one table has them."""
    return pd.read_parquet(folder)


def times_scored(monkeypatch):
    """Rows that a model is given from now on, a number a call."""
    calls, score = [], LinearModel.score
    monkeypatch.setattr(LinearModel, "score", lambda self, table: calls.append(len(table)) or score(self, table))
    return calls


def test_each_shard_has_a_shard_of_scores_with_its_name_and_order(model, shards, tmp_path):
    done = score_shards(model, shards, tmp_path / "scores")
    assert (done.shards, done.rows, done.shards_before) == (3, 12, 0)
    for path in shards.iterdir():
        scores = pd.read_parquet(tmp_path / "scores" / path.name)
        assert list(scores) == ["id", "task", "language", "score"]
        assert scores["id"].tolist() == pd.read_parquet(path)["id"].tolist()
        assert (scores["score"] > 0.5).tolist() == [True, False, True, False]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(0, 7), min_size=1, max_size=4),
    row_group=st.integers(1, 9),
    at_once=st.integers(1, 9),
)
def test_however_the_rows_are_cut_the_scores_are_those_of_the_rows_as_one_file(
    model, tmp_path_factory, monkeypatch, sizes, row_group, at_once
):
    place = tmp_path_factory.mktemp("cut")
    (place / "shards").mkdir()
    everything = pairs(*range(sum(sizes)))
    for number, size in enumerate(sizes):
        start = sum(sizes[:number])
        part = everything.iloc[start : start + size]
        part.to_parquet(place / "shards" / f"{number}.parquet", row_group_size=row_group)
    monkeypatch.setattr(shard_rows, "CHUNK_ROWS", at_once)
    score_shards(model, place / "shards", place / "scores")
    scores = pd.concat([pd.read_parquet(place / "scores" / f"{n}.parquet") for n in range(len(sizes))])
    if sum(sizes):
        everything.to_parquet(place / "all.parquet")
        score_file(model, place / "all.parquet", place / "all_scores.parquet")
        expected = pd.read_parquet(place / "all_scores.parquet")
        pd.testing.assert_frame_equal(scores.reset_index(drop=True), expected, check_dtype=False)
    assert len(scores) == sum(sizes)


def test_a_model_is_given_a_few_rows_of_a_shard_at_once_however_large_its_row_groups_are(model, tmp_path, monkeypatch):
    monkeypatch.setattr(shard_rows, "CHUNK_ROWS", 10)
    (tmp_path / "shards").mkdir()
    pairs(*range(95)).to_parquet(tmp_path / "shards" / "a.parquet", row_group_size=95)
    calls = times_scored(monkeypatch)
    score_shards(model, tmp_path / "shards", tmp_path / "scores")
    assert calls == [10] * 9 + [5]


def test_a_second_call_scores_nothing(model, shards, tmp_path, monkeypatch):
    score_shards(model, shards, tmp_path / "scores")
    calls = times_scored(monkeypatch)
    done = score_shards(model, shards, tmp_path / "scores")
    assert calls == []
    assert (done.shards_before, done.rows_before) == (3, 12)


def test_a_kill_after_any_batch_loses_only_the_shard_under_way(model, shards, tmp_path, monkeypatch):
    score_shards(model, shards, tmp_path / "unbroken")
    score, calls = LinearModel.score, []

    def killed(self, table):
        calls.append(len(table))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return score(self, table)

    monkeypatch.setattr(LinearModel, "score", killed)
    with pytest.raises(KeyboardInterrupt):
        score_shards(model, shards, tmp_path / "scores")
    assert [path.name for path in (tmp_path / "scores").glob("*.parquet")] == ["part-0.parquet"]
    done = score_shards(model, shards, tmp_path / "scores")
    assert done.shards_before == 1
    for path in (tmp_path / "unbroken").glob("*.parquet"):
        assert (tmp_path / "scores" / path.name).read_bytes() == path.read_bytes()


def alter_shard(shards, scores):
    pairs(4, 5, 6, 8).to_parquet(shards / "part-1.parquet")


def alter_scores(shards, scores):
    (scores / "part-1.parquet").write_bytes((scores / "part-0.parquet").read_bytes())


def delete_scores(shards, scores):
    (scores / "part-1.parquet").unlink()


def alter_receipt(shards, scores):
    (scores / "_receipts" / "part-1.parquet.json").write_text("{}")


@pytest.mark.parametrize("alter", [alter_shard, alter_scores, delete_scores, alter_receipt])
def test_what_was_altered_is_scored_again_and_nothing_else(model, shards, tmp_path, monkeypatch, alter):
    score_shards(model, shards, tmp_path / "scores")
    alter(shards, tmp_path / "scores")
    calls = times_scored(monkeypatch)
    done = score_shards(model, shards, tmp_path / "scores")
    assert calls == [4]
    assert done.shards_before == 2
    expected = pd.read_parquet(shards / "part-1.parquet")["id"].tolist()
    assert pd.read_parquet(tmp_path / "scores" / "part-1.parquet")["id"].tolist() == expected


@pytest.mark.parametrize("other", ["model", "setting", "lexicon"])
def test_shards_that_another_model_setting_or_lexicon_has_scored_are_scored_again(model, shards, tmp_path, other):
    score_shards(model, shards, tmp_path / "scores")
    if other == "model":
        changed = LinearModel.load(model)
        changed.bias += 1
        model = tmp_path / "another"
        changed.save(model)
    if other == "lexicon":
        lexicon = "source_lang\tsource_text\ttarget_lang\ttarget_text\nes\tzapato\ten\tshoe\n"
        (shards / "lexicon.tsv").write_text(lexicon)
    done = score_shards(model, shards, tmp_path / "scores", overrides={"C": 2.0} if other == "setting" else None)
    assert done.shards_before == 0


def test_shares_together_score_each_shard_once(model, shards, tmp_path, monkeypatch):
    calls = times_scored(monkeypatch)
    done = [score_shards(model, shards, tmp_path / "scores", share=(number, 2)) for number in range(2)]
    assert [each.shards for each in done] == [2, 1]
    assert calls == [4, 4, 4]
    assert read(tmp_path / "scores")["id"].tolist() == list(range(12))


def test_rows_without_ids_are_numbered_in_each_shard_and_need_no_language(model, shards, tmp_path):
    for path in shards.iterdir():
        pd.read_parquet(path)[["query", "target"]].to_parquet(path)
    score_shards(model, shards, tmp_path / "scores")
    scores = read(tmp_path / "scores")
    assert scores["id"].tolist() == [1, 2, 3, 4] * 3
    assert set(scores["language"]) == {"und"}


def test_ids_keep_their_type_and_their_nulls(model, tmp_path):
    (tmp_path / "shards").mkdir()
    text = pa.array(["a-1", "b-2"]).dictionary_encode()
    for name, ids in {"whole": pa.array([2**53 + 1, None]), "text": text}.items():
        columns = {"id": ids, "query": pa.array(["shoe", None]), "target": pa.array([None, "ring"])}
        pq.write_table(pa.table(columns), tmp_path / "shards" / f"{name}.parquet")
    score_shards(model, tmp_path / "shards", tmp_path / "scores")
    ids = [pq.read_table(tmp_path / "scores" / f"{name}.parquet")["id"].to_pylist() for name in ("whole", "text")]
    assert ids == [[2**53 + 1, None], ["a-1", "b-2"]]


@pytest.mark.parametrize("statistics", [True, False])
def test_ids_that_are_all_null_are_as_good_as_none(model, tmp_path, statistics):
    (tmp_path / "shards").mkdir()
    columns = {"id": pa.array([None, None], pa.string()), "query": ["shoe", "lamp"], "target": ["shoe", "ring"]}
    pq.write_table(pa.table(columns), tmp_path / "shards" / "a.parquet", write_statistics=statistics, row_group_size=1)
    score_shards(model, tmp_path / "shards", tmp_path / "scores")
    assert read(tmp_path / "scores")["id"].tolist() == [1, 2]


def official(path, ids, titles, **more):
    columns = {"id": ids, "task": "QI", "language": "es", "origin_query": "zapato", "item_title": titles}
    pd.DataFrame(columns | more).to_parquet(path)


def test_official_fields_are_read_and_the_lexicon_of_the_folder_translates(model, tmp_path):
    (tmp_path / "shards").mkdir()
    official(tmp_path / "shards" / "a.parquet", [7, 3], ["shoe", "ring"], label=[1, 0])
    lexicon = "source_lang\tsource_text\ttarget_lang\ttarget_text\nes\tzapato\ten\tshoe\n"
    (tmp_path / "shards" / "lexicon.tsv").write_text(lexicon)
    done = score_shards(model, tmp_path / "shards", tmp_path / "scores")
    scores = read(tmp_path / "scores")
    assert scores["id"].tolist() == [7, 3]
    assert scores["score"][0] > scores["score"][1] + 0.2
    assert done.left_out == []


def test_faults_are_named_by_shard_and_row_and_the_other_shards_are_scored(model, tmp_path, monkeypatch):
    monkeypatch.setattr(shard_rows, "CHUNK_ROWS", 2)
    (tmp_path / "shards").mkdir()
    official(tmp_path / "shards" / "a.parquet", [1, 2, 3], "shoe")
    official(tmp_path / "shards" / "b.parquet", [1, 2, 1], "shoe")
    official(tmp_path / "shards" / "c.parquet", [1, 2, 3], "shoe", task=["QI", "QI", "QC"])
    official(tmp_path / "shards" / "d.parquet", [1, 2, 3], "shoe")
    with pytest.raises(DataError) as error:
        score_shards(model, tmp_path / "shards", tmp_path / "scores")
    text = str(error.value)
    assert "Faults in 2 of the shards (b.parquet, c.parquet)" in text
    assert "b.parquet:3: id 1" in text
    assert 'c.parquet:3: expected QI, found "QC"' in text
    assert sorted(path.name for path in (tmp_path / "scores").glob("*.parquet")) == ["a.parquet", "d.parquet"]
    official(tmp_path / "shards" / "b.parquet", [1, 2, 3], "shoe")
    official(tmp_path / "shards" / "c.parquet", [1, 2, 3], "shoe")
    assert score_shards(model, tmp_path / "shards", tmp_path / "scores").shards_before == 2


def test_shards_that_are_none_or_have_other_columns_are_all_named_before_any_work(model, shards, tmp_path):
    (shards / "part-0.parquet").write_bytes(b"no parquet")
    pd.DataFrame({"a": [1]}).to_parquet(shards / "part-1.parquet")
    with pytest.raises(DataError) as error:
        score_shards(model, shards, tmp_path / "scores")
    assert "not parquet: 1\n    part-0.parquet" in str(error.value)
    assert "part-1.parquet: expected query, target; or id, task," in str(error.value)
    assert not (tmp_path / "scores").exists()


def test_a_shard_with_a_changed_byte_is_a_fault_of_that_shard(model, shards, tmp_path):
    path = shards / "part-1.parquet"
    pq.write_table(pa.table(pairs(4, 5, 6, 7)), path, write_page_checksum=True, compression="none")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"drum", b"crum", 1))
    with pytest.raises(DataError, match=r"not parquet: 1\n    part-1\.parquet:1"):
        score_shards(model, shards, tmp_path / "scores")


def test_what_is_not_read_is_named(model, shards, tmp_path):
    for name in ("notes.csv", "_SUCCESS", ".hidden"):
        (shards / name).write_text("")
    (shards / "language=de").mkdir()
    assert score_shards(model, shards, tmp_path / "scores").left_out == ["language=de", "notes.csv"]


def test_scores_that_no_shard_has_are_refused(model, shards, tmp_path):
    score_shards(model, shards, tmp_path / "scores")
    (shards / "part-2.parquet").unlink()
    with pytest.raises(UserError, match=r"found part-2\.parquet in"):
        score_shards(model, shards, tmp_path / "scores")


def test_a_folder_without_shards_and_the_input_as_output_are_refused(model, shards, tmp_path):
    with pytest.raises(UserError, match="output: expected another folder than the input"):
        score_shards(model, shards, shards)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"input: expected parquet shards \(\*\.parquet\) in .*empty, found none"):
        score_shards(model, tmp_path / "empty", tmp_path / "scores")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="output: expected a folder"):
        score_shards(model, shards, tmp_path / "file")


def test_the_command_takes_a_folder_and_a_share_of_it(model, shards, tmp_path, capsys):
    call = ["score", "--model", str(model), "--input", str(shards), "--output", str(tmp_path / "scores")]
    assert main([*call, "--share", "1/2"]) == 0
    assert "1 shard with 4 pairs scored in" in capsys.readouterr().out
    assert main(call) == 0
    assert "2 shards with 8 pairs scored in" in (out := capsys.readouterr().out)
    assert "1 shard with 4 pairs finished before" in out
    assert main(call) == 0
    assert "3 shards with 12 pairs finished before, none to score" in capsys.readouterr().out


@pytest.mark.parametrize("share", ["2/2", "1", "-1/2"])
def test_a_share_that_is_none_is_refused(model, shards, tmp_path, capsys, share):
    call = ["score", "--model", str(model), "--input", str(shards), "--output", str(tmp_path / "scores")]
    with pytest.raises(SystemExit):
        main([*call, f"--share={share}"])
    assert "expected K/N with K from 0 to N - 1" in capsys.readouterr().err


def test_a_share_of_a_file_is_refused(model, shards, tmp_path, capsys):
    file = str(shards / "part-0.parquet")
    assert main(["score", "--model", str(model), "--input", file, "--output", "scores.csv", "--share", "0/2"]) == 2
    assert "--share: expected a folder of shards" in capsys.readouterr().err


def test_nothing_heavy_is_imported_before_a_model_needs_it():
    modules = "competition_utils.runs.scoring.shards, competition_utils.runs.scoring.score_file"
    heavy = "sorted({'torch', 'transformers', 'faiss', 'sklearn'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {modules}; print({heavy})"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
