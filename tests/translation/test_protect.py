"""Model codes, numbers and units go through a translator untouched, or it is noticed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from competition_utils.translation.protect import protect, restore


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("iphone 13 pro case", ["13"]),
        ("bosch 4497eq drill", ["4497eq"]),
        ("usb cable 1.5m 2 pcs", ["1.5m", "2"]),
        ("red dress", []),
        ("puff 9000", ["9000"]),
    ],
)
def test_codes_and_numbers_are_held(text, held):
    assert protect(text)[1] == held


def test_brands_are_held_whatever_their_case():
    text, held = protect("ZORVIK phone 13", ["zorvik"])
    assert held == ["ZORVIK", "13"]
    assert text == "X0X phone X1X"


@settings(deadline=None)
@given(st.lists(st.sampled_from(["red", "13", "4497eq", "1.5m", "dress", "ทดสอบ"]), max_size=12))
def test_what_is_protected_comes_back_the_same(pieces):
    text, held = protect(" ".join(pieces))
    assert restore(text, held) == " ".join(pieces)


@pytest.mark.parametrize("made", ["hülle", "x0x x0x hülle", "X0X X1X hülle"], ids=["lost", "doubled", "made up"])
def test_a_mark_that_did_not_survive_is_noticed(made):
    assert restore(made, ["13"]) is None


def test_a_mark_that_moved_or_changed_case_is_put_right():
    assert restore("hülle für x 0 x", ["13"]) == "hülle für 13"
