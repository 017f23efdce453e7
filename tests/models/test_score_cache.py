"""Sharding, resume and the number of processes may change what a run costs, never what it says."""

import os
import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from competition_utils.models.score_cache import ScoreCache, model_hash, pair_keys, score_cached


class CountingModel:
    """Scores a pair by the length of its texts, and remembers how often it was asked for which pair."""

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


def test_a_killed_run_scores_again_at_most_one_shard(tmp_path):
    pairs = table(range(100))
    killed = CountingModel(dies_after=40)
    with pytest.raises(KeyboardInterrupt):
        score_cached(killed, pairs, ScoreCache(tmp_path), shard_rows=10)
    resumed = CountingModel()
    scores = score_cached(resumed, pairs, ScoreCache(tmp_path), shard_rows=10)
    np.testing.assert_array_equal(scores, CountingModel().score(pairs))
    assert len(killed.asked) + len(resumed.asked) == 100


def test_two_processes_share_the_work_and_both_get_every_score(tmp_path, monkeypatch):
    pairs = table(range(90))
    models, results = [CountingModel(), CountingModel()], {}

    def process(rank: int) -> None:
        results[rank] = score_cached(models[rank], pairs, ScoreCache(tmp_path), shard_rows=7)

    share = threading.local()
    monkeypatch.setattr("competition_utils.models.score_cache.own_share", lambda: (share.rank, 2))

    def start(rank: int) -> None:
        share.rank = rank
        process(rank)

    threads = [threading.Thread(target=start, args=(rank,)) for rank in (0, 1)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(models[0].asked + models[1].asked) == sorted(asked_of_one(pairs))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], CountingModel().score(pairs))


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
