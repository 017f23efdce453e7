"""`score --engine ray`: two nodes fill the folder that one process would fill, also when one of them dies."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest

from competition_utils.cli.arguments import RAY_SETTINGS
from competition_utils.cli.main import main
from competition_utils.errors import UserError
from competition_utils.models.base import new_model
from competition_utils.runs.cluster import score as module
from competition_utils.runs.cluster import start
from competition_utils.runs.cluster.score import score_on_ray
from competition_utils.runs.scoring.shards import score_shards
from competition_utils.settings.schema import RaySettings

WORDS = np.array(["shoe", "lamp", "ring", "drum"])
SHARDS, ROWS = 8, 2000


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder, words = tmp_path_factory.mktemp("model"), np.resize(WORDS, 400)
    pairs = pd.DataFrame(
        {"task": "QI", "language": "en", "query": words, "query_en": "", "target": np.repeat(WORDS, 100)}
    )
    pairs["label"] = (pairs["query"] == pairs["target"]).astype(int)
    fitted = new_model("linear", {})
    fitted.fit(pairs, pairs, work_dir=folder, seed=0)
    fitted.save(folder)
    return folder


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("shards"), np.random.default_rng(0)
    for number in range(SHARDS):
        query, target = (pd.Series(WORDS[rng.integers(0, 4, ROWS)]) for _ in range(2))
        words = pd.Series(rng.integers(0, 10_000, ROWS)).astype("str")
        table = pd.DataFrame({"query": query + " " + words, "target": target + " " + words})
        table.to_parquet(folder / f"part-{number}.parquet")
    return folder


def scores_in(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.parquet")}


@pytest.fixture(scope="module")
def expected(model, shards, tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    score_shards(model, shards, folder)
    return scores_in(folder)


def kill_in_the_middle(cluster, node, scores):
    """Kill a node as soon as two shards are finished; gives a list that will hold how many were finished then."""
    finished = []

    def watch():
        while (done := len(list(scores.glob("_receipts/*.json")))) < 2:
            time.sleep(0.02)
        cluster.remove_node(node, allow_graceful=False)
        finished.append(done)

    threading.Thread(target=watch, daemon=True).start()
    return finished


def test_a_node_that_is_killed_in_the_middle_loses_and_doubles_nothing(
    cluster, second_node, model, shards, expected, tmp_path
):
    finished = kill_in_the_middle(cluster, second_node, tmp_path / "scores")
    done = score_shards(model, shards, tmp_path / "scores", engine=score_on_ray(RaySettings()))
    assert finished
    assert finished[0] < SHARDS
    assert (done.shards, done.rows) == (SHARDS, SHARDS * ROWS)
    assert scores_in(tmp_path / "scores") == expected
    again = score_shards(model, shards, tmp_path / "scores", engine=score_on_ray(RaySettings()))
    assert again.shards_before == SHARDS


def test_faults_of_a_shard_and_a_damaged_model_are_the_errors_of_one_process(cluster, model, tmp_path, capsys):
    (tmp_path / "shards").mkdir()
    shutil.copytree(model, tmp_path / "damaged")
    (tmp_path / "damaged" / "weights.npz").write_bytes(b"")
    rows = pd.DataFrame({"id": [1, 1], "task": "QI", "language": "es", "origin_query": "zapato", "item_title": "shoe"})
    rows.to_parquet(tmp_path / "shards" / "a.parquet")
    call = ["score", "--input", str(tmp_path / "shards"), "--output", str(tmp_path / "scores"), "--engine", "ray"]
    assert main([*call, "--model", str(model)]) == 2
    assert "a.parquet:2: id 1" in capsys.readouterr().err
    rows.head(1).to_parquet(tmp_path / "shards" / "a.parquet")
    assert main([*call, "--model", str(tmp_path / "damaged")]) == 2
    assert "weights.npz: expected the file that the fit wrote" in capsys.readouterr().err


@pytest.mark.soak
def test_workers_that_die_in_every_try_end_it_with_one_sentence(cluster, model, shards, tmp_path, monkeypatch):
    class Dies:
        def __init__(self, *given):
            pass

        def __call__(self, row):
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(module, "ShardActor", Dies)
    with pytest.raises(UserError, match="engine: expected workers that stay alive, found: "):
        score_shards(model, shards, tmp_path / "scores", engine=score_on_ray(RaySettings(max_retries=1)))


def test_without_the_extra_one_sentence_says_which(model, shards, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(start, "find_spec", lambda name: None)
    call = ["score", "--model", str(model), "--input", str(shards), "--output", str(tmp_path / "scores")]
    assert main([*call, "--engine", "ray"]) == 2
    assert capsys.readouterr().err.strip() == (
        'engine: ray expects the extra ray, which is not installed. Run: uv pip install -e ".[ray]"'
    )


def test_a_cluster_that_cannot_be_reached_is_one_sentence(model, shards, tmp_path, capsys, monkeypatch):
    ray = pytest.importorskip("ray", reason="needs the extra ray")
    monkeypatch.setattr(ray, "init", lambda **given: (_ for _ in ()).throw(Exception("It timed out.\nMore.")))
    monkeypatch.setenv("RAY_ADDRESS", "node-1:6379")
    call = ["score", "--model", str(model), "--input", str(shards), "--output", str(tmp_path / "scores")]
    assert main([*call, "--engine", "ray"]) == 2
    found = "expected a Ray cluster at node-1:6379, found: It timed out. See ray start --help."
    assert capsys.readouterr().err.strip().endswith(found)


def test_settings_of_a_worker_need_the_engine_and_are_checked(model, shards, tmp_path, capsys):
    call = ["score", "--model", str(model), "--input", str(shards), "--output", str(tmp_path / "scores")]
    assert main([*call, "--ray", "num_gpus=1"]) == 2
    assert "--ray: expected --engine ray with it" in capsys.readouterr().err
    assert main([*call, "--engine", "ray", "--ray", "gpus=1"]) == 2
    assert "gpus: no such setting (did you mean num_gpus?)" in capsys.readouterr().err
    assert tuple(RaySettings.model_fields) == RAY_SETTINGS


def test_a_file_is_scored_by_one_process(model, shards, tmp_path, capsys):
    call = ["score", "--model", str(model), "--input", str(shards / "part-0.parquet"), "--output", "scores.csv"]
    assert main([*call, "--engine", "ray"]) == 2
    assert "--engine: expected a folder of shards" in capsys.readouterr().err
