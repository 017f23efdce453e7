"""What the figure of `compare` shows, read off the figure itself."""

import numpy as np
import pandas as pd

from competition_utils.decide.compare import compare_predictions
from competition_utils.plots.comparing import differences, f1_by_rows


def table(rows=400, seed=0):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, rows)
    noisy = {name: np.where(rng.random(rows) < share, 1 - label, label) for name, share in RUNS.items()}
    return compare_predictions(
        pd.DataFrame({"id": range(rows), "query": [str(n) for n in range(rows)], "label": label, **noisy})
    ).table


RUNS = {"first": 0.3, "better": 0.1, "worse": 0.5}


def test_each_run_but_the_first_has_a_point_with_its_interval_in_points_of_f1():
    tables = {"QC": {"all": table(), "unseen languages": table(seed=1)}, "QI": {"all": table(seed=2)}}
    figure = differences(tables)
    left, right = figure.axes
    assert [text.get_text() for text in left.get_yticklabels()] == ["better", "worse"]
    assert len(left.containers) == 2 and len(right.containers) == 1
    points = left.containers[0].lines[0].get_xdata()
    np.testing.assert_allclose(points, 100 * tables["QC"]["all"]["difference"].iloc[1:])
    segment = left.containers[0].lines[2][0].get_segments()[0]
    np.testing.assert_allclose(segment[:, 0], 100 * tables["QC"]["all"][["difference_low", "difference_high"]].iloc[1])


def test_the_axis_names_the_run_that_the_rest_are_compared_with():
    assert differences({"QC": {"all": table()}}).axes[0].get_xlabel() == "points of F1 against first"


def test_the_legend_names_a_part_of_the_rows_that_only_the_first_task_has():
    figure = differences({"QC": {"all": table(), "unseen languages": table(seed=1)}, "QI": {"all": table(seed=2)}})
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["all", "unseen languages"]


def test_a_line_a_model_runs_through_its_f1_by_rising_rows_above_that_of_all_relevant():
    points = pd.DataFrame(
        [
            {"task": task, "model": model, "rows": rows, "f1": f1, "low": f1 - 0.01, "high": f1 + 0.02}
            for task in ("QC", "QI")
            for model, f1s in {"linear": (0.81, 0.8), "encoder": (0.9, 0.85)}.items()
            for rows, f1 in zip((6000, 2000), f1s, strict=True)
        ]
    ).assign(all_positive_f1=0.77)
    left, _ = f1_by_rows(points).axes
    assert left.get_title(loc="left") == "QC"
    line, of_linear = (container.lines[0] for container in (left.containers[1], left.containers[0]))
    assert line.get_ydata().tolist() == [0.85, 0.9]
    np.testing.assert_allclose(np.asarray(line.get_xdata(), float), [2000, 6000], rtol=0.05)
    assert set(line.get_xdata()).isdisjoint(of_linear.get_xdata())  # whiskers beside each other
    assert [text.get_text() for text in left.get_xticklabels()] == ["2,000", "6,000"]
    assert left.get_lines()[-1].get_ydata() == [0.77, 0.77]
