"""Text of users stands in a figure as it is: `$`, `\\frac` and `_` are not mathematics. A test for each module."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from competition_utils.eda import profile, text_profile
from competition_utils.plots import augmentation, comparing, eda, style, submission, training

TRAPS = [r"$\frac$", "$x_1$", r"\alpha_$", "_under"]


def texts_of(figure: Figure) -> set[str]:
    """Every text of the figure once drawn; a text that cannot be drawn fails here."""
    figure.savefig(io.BytesIO(), format="png")
    drawn = figure.findobj(Text)
    assert not any(text.get_parse_math() for text in drawn)
    return {text.get_text() for text in drawn}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """QC with traps as language tags, tokens and categories."""
    number = np.arange(240)
    frame = pd.DataFrame({"id": number + 1, "language": np.array(TRAPS)[number % 4], "task": "QC"})
    frame = frame.assign(query=[f"$5 \\frac{trap}" for trap in frame["language"]], text_language="und")
    frame = frame.assign(target=[f"{trap},sub" for trap in frame["language"]], language_confidence=0.9)
    frame["split"] = np.where(number % 3 == 0, "dev", "train")
    frame["label"] = pd.array(number // 4 % 2, dtype="Int8")
    frame["origin_target"] = frame["target"]
    return frame.astype(dict.fromkeys(("language", "query", "target", "text_language", "split", "task"), "str"))


def test_eda(rows):
    counts, rates = text_profile.token_counts(rows), profile.positive_rate_by_language(rows)
    figures = [
        eda.rows_by_language(profile.rows_by_language(rows)),
        eda.positive_rates(rates),
        eda.lengths(text_profile.lengths(rows)),
        eda.token_bars(text_profile.frequent_tokens(counts), "QC"),
        eda.skewed_tokens(text_profile.skewed_tokens(counts, rates), "QC"),
        eda.unseen_shares(profile.unseen_in_train(rows), text_profile.unseen_tokens(rows)),
        eda.tag_against_text(profile.tag_against_text(rows)),
        eda.shared_words(text_profile.shared_words(text_profile.draw(rows))),
    ]
    assert all(any(TRAPS[0] in text for text in texts_of(figure)) for figure in figures)
    assert any(text.startswith(TRAPS[1]) for text in texts_of(eda.category_treemap(profile.category_tree(rows))))


def test_augmentation():
    counts = pd.DataFrame({"task": "QC", "language": TRAPS, "source": "original", "label": 1, "rows": 5})
    assert set(TRAPS) <= texts_of(augmentation.rows_by_language(counts))


def test_training():
    table = pd.DataFrame({"task": "QC", "language": TRAPS, "model": 0.8, "baseline": 0.7})
    assert set(TRAPS) <= texts_of(training.auc_by_language(table))


def test_submission():
    table = pd.DataFrame({"language": TRAPS * 2, "split": ["valid"] * 4 + ["test"] * 4, "prediction": [0, 1] * 4})
    assert set(TRAPS) <= texts_of(submission.positive_shares({"QC": table}, "test"))


def test_comparing():
    columns = ["difference", "difference_low", "difference_high"]
    table = pd.DataFrame(0.01, index=["first", *TRAPS], columns=columns)
    assert set(TRAPS) <= texts_of(comparing.differences({"QC": {"all": table}}))


def test_a_message_in_place_of_a_figure():
    assert TRAPS[0] in texts_of(style.only_says(TRAPS[0]))
