"""Self-validation: rows whose label an unseeing model doubts, originals and created rows apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from competition_utils.augment import self_validate as module
from competition_utils.augment.self_validate import doubtful, out_of_fold_scores, self_validate
from competition_utils.augment.tools import Tools
from competition_utils.models import base
from competition_utils.settings.strategy import SelfValidate
from competition_utils.tasks import QC

WRONG = [3, 120]  # a row of the files and a created one, labelled against their scores


@pytest.fixture
def table(monkeypatch):
    rng = np.random.default_rng(0)
    label = np.arange(200) % 2
    scores = np.where(label == 1, rng.uniform(0.8, 0.99, 200), rng.uniform(0.01, 0.2, 200))
    scores[WRONG] = [0.99, 0.01]
    label[WRONG] = 1 - label[WRONG]
    monkeypatch.setattr(module, "out_of_fold_scores", lambda table, tools: scores)
    rows = pd.DataFrame({"id": np.arange(200) + 1, "language": "en", "label": pd.array(label, dtype="Int8")})
    rows["query"], rows["target"] = "q", "t"
    rows["source"] = pd.Series(np.where(np.arange(200) < 100, "original", "negative"), dtype="str")
    rows["gate"] = pd.Series("", index=rows.index, dtype="str")
    return rows.assign(weight=np.float32(1))


def test_labels_against_their_scores_are_found(table):
    scores = module.out_of_fold_scores(table, Tools(QC))
    assert sorted(doubtful(table["label"].to_numpy(np.int64), scores, most=1.0)) == WRONG


def test_by_default_rows_of_the_files_are_reported_and_created_rows_dropped(table):
    made = self_validate(table, Tools(QC), SelfValidate())
    assert len(made) == 199
    assert made.loc[made["id"] == 4, "gate"].str.contains("label doubted").all()
    assert 121 not in made["id"].to_numpy()


def test_doubted_rows_can_weigh_less(table):
    settings = SelfValidate(original="down_weight", created="report", down_weight=0.25)
    made = self_validate(table, Tools(QC), settings)
    assert made.set_index("id")["weight"].loc[4] == 0.25
    assert (made["weight"] == 1).sum() == 199


def test_no_more_than_the_share_allowed_is_touched(table):
    settings = SelfValidate(original="drop", created="drop", most=0.0)
    assert len(self_validate(table, Tools(QC), settings)) == 200


def test_what_was_doubted_is_counted_apart(table):
    tools = Tools(QC)
    self_validate(table, tools, SelfValidate())
    counts = tools.rejections.table().set_index("reason")["rows"]
    assert counts.to_dict() == {"label doubted (created)": 1, "label doubted (original)": 1}


def test_rows_of_one_label_raise_no_doubt():
    assert len(doubtful(np.ones(5, dtype=np.int64), np.full(5, 0.1), 1.0)) == 0


class Remembers:
    """A model that says how many rows it was fitted on, and scores none of them."""

    def fit(self, train, valid, *, work_dir, seed):
        self.learnt, self.valid = set(train["id"]), valid

    def score(self, pairs):
        assert not self.learnt & set(pairs["id"])
        assert set(self.valid["id"]) == set(pairs.loc[pairs["source"] == "original", "id"])
        return np.full(len(pairs), len(self.learnt), dtype=np.float32)


def test_each_row_is_scored_by_a_linear_model_fitted_on_the_other_folds(monkeypatch):
    kinds = []
    monkeypatch.setattr(base, "new_model", lambda kind, settings: kinds.append(kind) or Remembers())
    source = pd.Series(np.where(np.arange(10) < 8, "original", "negative"), dtype="str")
    rows = pd.DataFrame({"id": np.arange(10), "fold": np.arange(10) % 3, "source": source})
    scores = out_of_fold_scores(rows, Tools(QC))
    assert scores.tolist() == [6 if fold == 0 else 7 for fold in rows["fold"]]
    assert kinds == ["linear"] * 3
