import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from competition_utils.eda import profile, text_profile
from competition_utils.plots import eda
from competition_utils.plots.treemap import squarify


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """QI alone, with Thai and Arabic, a language that train lacks, and no dev file."""
    queries = {"en": "red boots", "th": "รองเท้า สีแดง", "ar": "حذاء أحمر"}
    frame = pd.DataFrame(
        [
            {"language": language, "split": split, "query": f"{queries[language]} {number}", "label": number % 2}
            for language, split in (("en", "train"), ("th", "train"), ("ar", "test"))
            for number in range(20)
        ]
    ).assign(task="QI", target="Red Boots", language_confidence=0.9)
    frame["text_language"] = frame["language"].where(frame.index % 7 > 0, "und")
    frame["origin_target"] = frame["target"]
    frame["id"] = np.arange(1, len(frame) + 1)
    frame["label"] = frame["label"].astype("Int8").where(frame["split"] == "train")
    return frame.astype(dict.fromkeys(("task", "split", "language", "query", "target", "text_language"), "str"))


def drawn(figure: Figure) -> Figure:
    figure.canvas.draw()
    return figure


def titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left") or axes.get_title() for axes in figure.axes]


def test_every_figure_can_be_drawn_for_one_task_without_dev(rows):
    counts, rates = text_profile.token_counts(rows), profile.positive_rate_by_language(rows)
    lengths = text_profile.lengths(rows)
    figures = [
        eda.rows_by_language(profile.rows_by_language(rows)),
        eda.positive_rates(rates),
        eda.lengths(lengths),
        eda.lengths(lengths, "tokens"),
        eda.fan_out(profile.fan_out(rows)),
        eda.token_bars(text_profile.frequent_tokens(counts), "QI"),
        eda.skewed_tokens(text_profile.skewed_tokens(counts, rates), "QI"),
        eda.unseen_shares(profile.unseen_in_train(rows), text_profile.unseen_tokens(rows), "test"),
        eda.tag_against_text(profile.tag_against_text(rows)),
        eda.shared_words(text_profile.shared_words(text_profile.draw(rows))),
    ]
    assert all(isinstance(drawn(figure), Figure) for figure in figures)


def test_what_a_folder_lacks_is_said_in_its_figure(rows):
    counts, rates = text_profile.token_counts(rows), profile.positive_rate_by_language(rows)
    lacking = [
        eda.category_treemap(profile.category_tree(rows)),
        eda.token_bars(text_profile.frequent_tokens(counts), "QC"),
        eda.skewed_tokens(text_profile.skewed_tokens(counts, rates), "QC"),
        eda.unseen_shares(profile.unseen_in_train(rows), text_profile.unseen_tokens(rows), "dev"),
        eda.mis_tagged_rates(profile.rate_of_mis_tagged(rows)),
    ]
    said = [drawn(figure).axes[0].texts[0].get_text() for figure in lacking]
    assert said[0] == "no QC rows, so no category tree"
    assert all("no" in text for text in said)


@pytest.mark.parametrize("label", [0, 1])
def test_train_of_one_class_is_drawn_like_any_other(rows, label):
    rows = rows.assign(label=rows["label"].where(rows["label"].isna(), label))
    counts, rates = text_profile.token_counts(rows), profile.positive_rate_by_language(rows)
    drawn(eda.positive_rates(rates))
    drawn(eda.token_bars(text_profile.frequent_tokens(counts), "QI"))
    drawn(eda.lengths(text_profile.lengths(rows)))
    drawn(eda.shared_words(text_profile.shared_words(text_profile.draw(rows))))
    drawn(eda.mis_tagged_rates(profile.rate_of_mis_tagged(rows), fewest=1))
    skewed = text_profile.skewed_tokens(counts, rates)
    assert "no token" in drawn(eda.skewed_tokens(skewed, "QI")).axes[0].texts[0].get_text()


def test_the_numbers_of_a_logarithmic_axis_are_plain(rows):
    figure = drawn(eda.rows_by_language(profile.rows_by_language(rows)))
    assert not any("$" in text.get_text() for text in figure.axes[0].get_yticklabels())


def test_fold_balance_shows_rows_off_the_mean():
    balance = pd.DataFrame(
        {"task": "QI", "language": "en", "label": [0, 0, 1, 1], "fold": [0, 1] * 2, "rows": [5, 7, 3, 3]}
    )
    figure = drawn(eda.fold_balance(balance))
    assert [text.get_text() for text in figure.axes[0].texts] == ["-1.0", "+1.0", "+0.0", "+0.0"]


def test_the_category_tree_names_its_largest_top_levels():
    found = pd.DataFrame({"top": ["home", "home", "toys"], "prefix": ["a", "b", "c"], "rows": [50, 30, 20]})
    found["positive"] = [25, 15, 10]
    found["rate"] = 0.5
    figure = drawn(eda.category_treemap(found))
    assert {text.get_text() for text in figure.axes[0].texts} == {"home\n0.50", "toys\n0.50"}


@pytest.mark.parametrize("sizes", [[1.0], [6, 6, 4, 3, 2, 2, 1], [100, 1, 1, 1]])
def test_a_treemap_fills_its_area_in_proportion(sizes):
    rectangles = squarify(np.array(sizes, dtype=float), 0, 0, 6, 4)
    areas = rectangles[:, 2] * rectangles[:, 3]
    assert np.allclose(areas, np.array(sizes) / np.sum(sizes) * 24)
    assert (rectangles[:, :2] >= -1e-9).all()
    assert (rectangles[:, 0] + rectangles[:, 2] <= 6 + 1e-9).all()
    assert (rectangles[:, 1] + rectangles[:, 3] <= 4 + 1e-9).all()
