"""The best F1, by trying every threshold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from competition_utils.f1 import best_f1


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.1, 0.4, 0.5, 0.9])), min_size=1, max_size=12))
def test_best_f1_is_the_best_over_every_threshold(rows):
    labels, scores = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])

    def f1(threshold):
        predicted = scores >= threshold
        hits = (predicted & (labels == 1)).sum()
        return 2 * hits / (predicted.sum() + labels.sum()) if hits else 0.0

    assert best_f1(labels, scores) == pytest.approx(max(f1(threshold) for threshold in scores))
