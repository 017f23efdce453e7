"""What is to be fitted for the tasks of a run."""

from __future__ import annotations

import pandas as pd
import pytest

from competition_utils.errors import UserError
from competition_utils.models.decoder.model import DecoderModel
from competition_utils.models.encoder.model import EncoderModel
from competition_utils.runs.finetuning import plan_fits

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
