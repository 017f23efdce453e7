"""What is to be fitted for the tasks of a run, and the pairs that notebook 03 shows before."""

from __future__ import annotations

import pandas as pd
import pytest

from competition_utils.errors import UserError
from competition_utils.models.decoder.model import DecoderModel
from competition_utils.models.encoder.model import EncoderModel
from competition_utils.runs.finetuning import pairs_in_scripts, plan_fits

TABLES = {task: {"train": pd.DataFrame({"id": [1], "task": [task], "fold": [0]})} for task in ("QC", "QI")}
JOINT_MODELS = [EncoderModel({"training": "joint"}), DecoderModel({"training": "joint"})]


def test_a_single_model_is_fitted_for_each_task():
    assert [plan.name for plan in plan_fits(TABLES, EncoderModel({}))] == ["QC", "QI"]


@pytest.mark.parametrize("fitter", JOINT_MODELS, ids=lambda fitter: fitter.kind)
def test_a_joint_model_sees_the_rows_of_both_tasks(fitter):
    plan = plan_fits(TABLES, fitter)[0]
    assert plan.tasks == ("QC", "QI") and set(plan.tables["train"]["task"]) == {"QC", "QI"}


@pytest.mark.parametrize("fitter", JOINT_MODELS, ids=lambda fitter: fitter.kind)
def test_a_joint_model_of_one_task_is_that_task_alone_and_says_so(fitter, capsys):
    plans = plan_fits({"QC": TABLES["QC"]}, fitter)
    assert [plan.name for plan in plans] == ["QC"] and "the rows of QC alone" in capsys.readouterr().out


def test_two_stages_need_both_tasks():
    with pytest.raises(UserError, match="needs the rows of QC and QI, found QC"):
        plan_fits({"QC": TABLES["QC"]}, DecoderModel({"training": "two_stage"}))


QUERIES = {"en": "red dress", "es": "vestido rojo", "ja": "赤いドレス", "th": "ชุดราตรี", "ar": "فستان أحمر"}


def table(task, languages, **others):
    rows = {"task": task, "language": languages, "query": [QUERIES[code] for code in languages], "query_en": ""}
    return pd.DataFrame(rows | others)


SHOWN = {
    "QC": {"train": table("QC", ["en", "es", "ja"], label=1), "test": table("QC", ["ar", "en"])},
    "QI": {"train": table("QI", ["en", "th"], label=0)},
}


def test_every_script_is_shown_whichever_task_or_split_has_it():
    pairs = pairs_in_scripts(SHOWN)
    assert set(pairs["language"].iloc[:4]) == {"en", "ja", "th", "ar"}
    assert pairs["language"].is_unique


def test_a_caption_says_where_a_pair_is_from_and_its_label_where_it_is_known():
    captions = pairs_in_scripts(SHOWN).set_index("language")["caption"]
    assert captions["th"] == "QI, train, Thai, label 0"
    assert captions["ar"] == "QC, test, Arabic"


def test_no_more_pairs_are_shown_than_asked_for():
    assert len(pairs_in_scripts(SHOWN, count=2)) == 2
    assert pairs_in_scripts(SHOWN, count=9)["language"].nunique() == 5


def test_queries_in_the_language_of_their_tag_come_before_others():
    tables = {"QC": {"train": table("QC", ["en", "en"], text_language=["es", "en"], label=[0, 1])}}
    assert pairs_in_scripts(tables)["label"].tolist() == [1]
