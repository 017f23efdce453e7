"""Each gate, by a translation that it must reject and one that it must accept."""

from __future__ import annotations

import pandas as pd
import pytest

from competition_utils.translation.gates import GATES, dice, lost_in_round_trip, low_confidence, reject
from competition_utils.translation.interface import Translator


def pair(before, after, language="de", source="en", confidence=1.0):
    row = {"before": before, "after": after, "source": source, "language": language, "confidence": confidence}
    return pd.DataFrame([row])


REJECTED = [
    ("red dress", "", "de", "no translation"),
    ("zorvik red dress", "zorvik 赤いドレス", "ja", ""),
    ("red dress", "rotes kleid", "ja", "wrong script"),
    ("red dress", "красное платье", "de", "wrong script"),
    ("women's summer dress", "vestido de verano para mujeres", "de", "wrong language"),
    ("red dress", "Red  Dress", "de", "untranslated copy"),
    ("stainless steel insulated water bottle", "stainless steel insulated water flasche", "de", "untranslated copy"),
    ("red dress", "ein rotes kleid für den abend im restaurant", "de", "odd length"),
    ("outdoor garden chairs", "stuhl", "de", "odd length"),
    ("iphone 13 case", "iphone 12 hülle", "de", "changed number"),
    ("bosch 4497eq drill", "bosch bohrmaschine 4497", "de", "changed number"),
    ("3 pack socks", "socken 3er pack", "de", "changed number"),
    ("sofa cover", "bezug bezug bezug", "de", "repeated loop"),
]


@pytest.mark.parametrize(("before", "after", "language", "reason"), REJECTED)
def test_a_gate_rejects_what_it_is_for(before, after, language, reason):
    assert reject(pair(before, after, language), GATES).iloc[0] == reason


@pytest.mark.parametrize(
    ("before", "after", "language"),
    [
        ("red dress", "rotes kleid", "de"),
        ("red dress", "赤いドレス", "ja"),
        ("wireless mouse", "ไร้สาย เมาส์", "th"),
        ("motorola edge 40 pro case", "motorola edge 40 pro hülle", "de"),
        ("samsung tv 55", "تلفزيون samsung ٥٥", "ar"),
        ("1.5m usb cable", "kabel usb 1.5m", "pl"),
    ],
)
def test_a_good_translation_enters(before, after, language):
    assert reject(pair(before, after, language), GATES).iloc[0] == ""


def test_a_low_confidence_is_rejected_and_none_at_all_is_not():
    gates = {"low confidence": low_confidence(0.8)}
    assert reject(pair("a", "b", confidence=0.5), gates).iloc[0] == "low confidence"
    assert reject(pair("a", "b", confidence=float("nan")), gates).iloc[0] == ""


class Fixed(Translator):
    engine = "fixed"
    model = "fixed"

    def __init__(self, back):
        self.back = back

    def supports(self, source, target):
        return (source, target) == ("de", "en")

    def translate(self, texts, source, target):
        return [self.back] * len(texts), None


@pytest.mark.parametrize(("back", "reason"), [("the red dress", ""), ("paper", "lost in round trip")])
def test_what_does_not_come_back_is_rejected(back, reason):
    gates = {"lost in round trip": lost_in_round_trip(Fixed(back), 0.5)}
    assert reject(pair("red dresses", "rotes kleid"), gates).iloc[0] == reason


def test_dice_counts_stems_without_function_words():
    assert dice("covers for the chairs", "chair cover", "en") == 1.0
    assert dice("red chair", "blue chair", "en") == 0.5
