"""Sharding, resume and the number of processes may change what a run costs, never what it says."""

import os
import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from competition_utils import distributed
from competition_utils.models.scoring import cache as score_cache
from competition_utils.models.scoring.cache import KEY, ScoreCache, first_of_each, model_hash, pair_keys, score_cached


class CountingModel:
    """Scores a pair by the length of its texts, and counts how often it was asked for which pair."""

    def __init__(self, dies_after: int | None = None):
        self.asked: list[str] = []
        self.dies_after = dies_after

    def score(self, pairs: pd.DataFrame) -> np.ndarray:
        if self.dies_after is not None and len(self.asked) >= self.dies_after:
            raise KeyboardInterrupt
        self.asked += (pairs["query"] + "|" + pairs["target"]).tolist()
        return 1 / (1 + pairs["query"].str.len() + 3 * pairs["target"].str.len()).to_numpy(np.float32)


def table(numbers) -> pd.DataFrame:
    text = pd.Series(numbers, dtype="int64").astype("str")
    return pd.DataFrame({"task": "QI", "language": "en", "query": text, "query_en": "", "target": text + " x"})


@settings(max_examples=25, deadline=None)
@given(numbers=st.lists(st.integers(0, 30), min_size=1, max_size=60), shard_rows=st.integers(1, 20))
def test_shard_size_and_repeats_do_not_change_a_score(numbers, shard_rows, tmp_path_factory):
    pairs, model = table(numbers), CountingModel()
    scores = score_cached(model, pairs, ScoreCache(tmp_path_factory.mktemp("cache")), shard_rows=shard_rows)
    np.testing.assert_array_equal(scores, CountingModel().score(pairs))
    assert sorted(model.asked) == sorted(set(model.asked))


def test_another_english_of_a_title_is_another_pair():
    pairs = table([1]).assign(target_en="lamp")
    assert pair_keys(pairs) != pair_keys(pairs.assign(target_en="shoe"))


def test_a_killed_run_scores_again_at_most_one_shard(tmp_path):
    pairs = table(range(100))
    killed = CountingModel(dies_after=40)
    with pytest.raises(KeyboardInterrupt):
        score_cached(killed, pairs, ScoreCache(tmp_path), shard_rows=10)
    resumed = CountingModel()
    scores = score_cached(resumed, pairs, ScoreCache(tmp_path), shard_rows=10)
    np.testing.assert_array_equal(scores, CountingModel().score(pairs))
    assert len(killed.asked) + len(resumed.asked) == 100


@pytest.fixture
def two_processes(tmp_path, monkeypatch):
    """Score a table in two threads that stand for two processes: their models, their scores, what was printed."""
    share = threading.local()
    monkeypatch.setattr(distributed, "rank", lambda: share.rank)
    monkeypatch.setattr(distributed, "world_size", lambda: 2)

    def run(pairs):
        models, results, printed = [CountingModel(), CountingModel()], {}, []

        def process(rank: int) -> None:
            share.rank = rank
            try:
                cache = ScoreCache(tmp_path)
                results[rank] = score_cached(models[rank], pairs, cache, shard_rows=7, report=printed.append)
            except RuntimeError as error:
                printed.append(str(error))

        threads = [threading.Thread(target=process, args=(rank,)) for rank in (0, 1)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        return models, results, printed

    return run


def test_two_processes_share_the_work_and_both_get_every_score(two_processes):
    pairs = table(range(90))
    models, results, _ = two_processes(pairs)
    assert sorted(models[0].asked + models[1].asked) == sorted(asked_of_one(pairs))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], CountingModel().score(pairs))


def test_the_first_of_several_processes_tells_how_many_pairs_each_had(two_processes):
    _, _, printed = two_processes(table([*range(90), 5, 6, 7]))
    assert printed == ["2 processes: 48 + 42 = 90 different pairs, each once (90 scored anew)"]


@pytest.mark.parametrize("fault", ["lost", "doubled", "swapped"])
def test_processes_that_do_not_add_up_to_all_pairs_are_an_error(two_processes, monkeypatch, fault):
    sums = score_cache._sums

    def wrong(keys):
        rows, high, low = sums(keys)
        if rows != 42:
            return [rows, high, low]
        return {"lost": [41, high, low], "doubled": [43, high, low], "swapped": [42, high + 1, low]}[fault]

    monkeypatch.setattr(score_cache, "_sums", wrong)
    _, _, printed = two_processes(table(range(90)))
    assert len(printed) == 1
    assert "which are not the 90 different ones" in printed[0]


def asked_of_one(pairs):
    model = CountingModel()
    model.score(pairs)
    return model.asked


def test_any_column_that_a_model_may_read_makes_another_key():
    pairs = table([1])
    keys = [pair_keys(pairs)] + [
        pair_keys(pairs.assign(**{name: "other"})) for name in ("task", "language", "query", "query_en", "target")
    ]
    assert len(np.unique(np.concatenate(keys))) == 6


def test_text_does_not_slide_from_one_column_into_the_next():
    one, other = table([1]).assign(query="ab", target="c"), table([1]).assign(query="a", target="bc")
    assert pair_keys(one) != pair_keys(other)


def test_a_part_under_way_is_not_read(tmp_path):
    (tmp_path / f".1.npy.{os.getpid()}.part").write_bytes(b"half")
    assert np.isnan(ScoreCache(tmp_path).get(pair_keys(table([1])))).all()


def test_another_weight_is_another_model(tmp_path):
    (tmp_path / "model.json").write_text("{}")
    (tmp_path / "weights.npz").write_bytes(b"1")
    before = model_hash(tmp_path)
    (tmp_path / "weights.npz").write_bytes(b"2")
    assert model_hash(tmp_path) != before


def test_keys_do_not_depend_on_the_chunk_they_are_made_in(monkeypatch):
    pairs = table(range(20))
    whole = pair_keys(pairs)
    monkeypatch.setattr(score_cache, "CHUNK_ROWS", 7)
    np.testing.assert_array_equal(pair_keys(pairs), whole)


halves = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=12)


@given(known=halves, asked=halves)
def test_keys_that_share_one_half_are_reported_apart(known, asked, tmp_path_factory):
    cache = ScoreCache(tmp_path_factory.mktemp("cache"))
    cache.add(np.array(known, dtype=KEY), np.array([high + 10 * low for high, low in known], dtype=np.float32))
    expected = [high + 10 * low if (high, low) in known else np.nan for high, low in asked]
    np.testing.assert_array_equal(cache.get(np.array(asked, dtype=KEY)), np.array(expected, dtype=np.float32))


@given(halves)
def test_the_first_row_of_each_key_is_found(keys):
    first = first_of_each(np.array(keys, dtype=KEY))
    assert {keys[row]: row for row in first} == {key: keys.index(key) for key in keys}
    assert len(first) == len(set(keys))
