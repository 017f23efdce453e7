"""The order of a translation's pieces: the noun last in English, wherever the source has it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from competition_utils.translation.pieces import Heads, Piece, in_order, text_of

HEADS = Heads(["ice containers", "black ice containers", "black lamps", "gold lamps"])


def translated(source, *targets, target="en"):
    return text_of(in_order([Piece("", text, "exact") for text in targets], source, target, HEADS))


@pytest.mark.parametrize(
    ("source", "pieces", "expected"),
    [
        ("es", ["containers", "black"], "black containers"),
        ("de", ["black", "containers"], "black containers"),
        ("pl", ["containers", "black"], "black containers"),
        ("pl", ["black", "ice containers"], "black ice containers"),
        ("pl", ["unheard", "of"], "of unheard"),
        ("pl", [], ""),
    ],
)
def test_what_describes_a_noun_comes_before_it_in_english(source, pieces, expected):
    assert translated(source, *pieces) == expected


def test_a_spanish_text_is_turned_round_whatever_its_words():
    assert translated("es", "black", "containers") == "containers black"


def test_english_is_turned_round_for_languages_with_the_noun_first():
    assert translated("en", "black", "containers", target="pl") == "containers black"


def test_kept_neighbours_stay_in_their_order_and_dropped_pieces_are_gone():
    pieces = [Piece("funda", "cover", "exact"), Piece("para", "", "dropped"), Piece("edge", "edge", "kept")]
    pieces += [Piece("40", "40", "kept"), Piece("rojo", "red", "exact")]
    assert text_of(in_order(pieces, "es", "en", HEADS)) == "red edge 40 cover"


def test_a_head_is_a_word_that_ends_most_phrases_that_have_it():
    # "containers" ends both phrases that it is in, "black" none of two: (2 + 1/2) / (2 + 1), (0 + 1/2) / (2 + 1)
    assert HEADS.share("ice containers") == pytest.approx(2.5 / 3)
    assert HEADS.share("black") == pytest.approx(0.5 / 3)
    assert HEADS.share("unheard") == 0.5
    assert HEADS.share("") == 0.0


@given(
    st.sampled_from(["es", "de", "pl", "th"]),
    st.lists(st.tuples(st.sampled_from(["a", "b", "black", "lamps"]), st.sampled_from(["exact", "kept", "dropped"]))),
)
def test_no_piece_is_lost_or_made(source, facts):
    pieces = [Piece(str(number), text, how) for number, (text, how) in enumerate(facts)]
    there = [piece for piece in pieces if piece.how != "dropped"]
    assert sorted(in_order(pieces, source, "en", HEADS)) == sorted(there)
