"""Coloured tokens as HTML."""

import re

import pandas as pd

from competition_utils.plots.tokens import coloured_tokens


def html_of(*tokens, pairs=None):
    parts = pd.DataFrame(tokens, columns=["token", "part"]).assign(pair=pairs or [0] * len(tokens))
    return coloured_tokens(parts, [f"pair {number}" for number in parts["pair"].unique()]).data


def test_each_part_has_its_colour_and_only_parts_that_are_there_are_in_the_legend():
    html = html_of(("shoes", "query"), ("zapatos", "target"))
    assert html.count("#9CC9EA") == 2 and "cut by max_length" not in html


def test_text_is_escaped():
    assert "<script>" not in html_of(("<script>", "query"))


def test_each_line_reads_in_its_own_direction():
    html = html_of(("Query:", "frame"), (" حذاء\n", "query"), ("Category: shoes", "target"))
    lines = re.findall(r'<div dir="auto".*?</div>', html)
    assert len(lines) == 2 and "حذاء" in lines[0] and "Category" in lines[1]


def test_a_token_has_no_space_around_it_that_would_part_joined_letters():
    spans = re.findall(r'<span title="query" style="([^"]*)"', html_of(("حذ", "query"), ("اء", "query")))
    assert len(spans) == 2 and not any("padding" in style or "margin" in style for style in spans)


def test_what_is_cut_is_crossed_out():
    assert "line-through" in html_of(("shoes", "cut"))
