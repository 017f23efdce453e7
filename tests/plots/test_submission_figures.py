from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from competition_utils.plots import submission

LANGUAGES = ["en", "en", "ar"]
TABLE = pd.DataFrame(
    {
        "language": LANGUAGES * 4,
        "split": (["valid", "test", "test"] * 4),
        "score": np.linspace(0.1, 0.9, 12),
        "threshold": 0.5,
        "prediction": [0, 1] * 6,
    }
)


@pytest.mark.parametrize("draw", [submission.positive_shares, submission.score_histograms])
@pytest.mark.parametrize("tasks", [["QC"], ["QC", "QI"]])
def test_there_is_a_panel_a_task(draw, tasks):
    figure = draw(dict.fromkeys(tasks, TABLE), "test")
    assert [axes.get_title(loc="left").split(":")[0] for axes in figure.axes] == tasks


def test_a_language_without_validation_rows_has_one_dot():
    valid, test = submission.positive_shares({"QC": TABLE}, "test").axes[0].lines
    assert np.isfinite(valid.get_xdata()).sum() == 1
    assert np.isfinite(test.get_xdata()).sum() == 2
