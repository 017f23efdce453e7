"""Learning curves of fits with one stage and with two."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from competition_utils.plots.training import learning_curves

ONE_STAGE = pd.DataFrame({"task": "QC", "fold": 0, "epoch": [0.5, 1.0, 1.0], "loss": [0.7, 0.6, None]})
TWO_STAGES = pd.DataFrame(
    {
        "task": "QC",
        "fold": 0,
        "stage": [1, 1, 2, 2, 2],
        "epoch": [0.25, 0.5, 1.0, 1.0, 2.0],
        "loss": [0.7, 0.6, 0.8, None, 0.4],
        "valid_auc": [None, None, None, 0.6, 0.8],
    }
)


def lines_of(axis):
    """The curves of a panel, without the line of chance."""
    return [line for line in axis.get_lines() if len(line.get_xdata()) and line.get_marker() == "o"]


def legend_of(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()]


def test_a_fit_of_one_stage_is_one_line_without_shade():
    axis = learning_curves(ONE_STAGE).axes[0]
    assert [line.get_xdata().tolist() for line in lines_of(axis)] == [[0.5, 1.0]]
    assert legend_of(axis) == ["QC, fold 0"]


def test_all_panels_have_the_epochs_of_the_fit_also_that_of_a_single_evaluation():
    once = ONE_STAGE.assign(valid_auc=[None, None, 0.8])
    assert {axis.get_xlim() for axis in learning_curves(once).axes} == {(0, 1.03)}


def test_epochs_run_on_from_the_first_stage_to_the_second():
    loss, auc = learning_curves(TWO_STAGES).axes
    assert [line.get_xdata().tolist() for line in lines_of(loss)] == [[0.25, 0.5], [1.5, 2.5]]
    assert [line.get_xdata().tolist() for line in lines_of(auc)] == [[1.5, 2.5]]


def test_the_first_stage_is_shaded_and_named_once_and_each_fit_has_one_name():
    both = pd.concat([TWO_STAGES, TWO_STAGES.assign(task="QI")], ignore_index=True)
    for axis in learning_curves(both).axes:
        assert legend_of(axis) == ["first stage: the other task's rows", "QC, fold 0", "QI, fold 0"]
        shade = axis.patches[0].get_extents().transformed(axis.transData.inverted())
        assert (shade.x0, shade.x1) == pytest.approx((0, 0.5))


def test_stages_of_one_fit_have_one_colour():
    loss = learning_curves(TWO_STAGES).axes[0]
    assert len({line.get_color() for line in lines_of(loss)}) == 1


def test_each_fold_counts_its_own_epochs():
    longer = TWO_STAGES.assign(fold=1, epoch=TWO_STAGES["epoch"] * 2)
    loss = learning_curves(pd.concat([TWO_STAGES, longer], ignore_index=True)).axes[0]
    ends = [line.get_xdata()[-1] for line in lines_of(loss)]
    np.testing.assert_allclose(ends, [0.5, 2.5, 1.0, 5.0])
