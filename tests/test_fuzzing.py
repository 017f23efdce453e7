"""Tests over generated input end in time, and a failure that they found stays one."""

from __future__ import annotations

import time

import fuzzing
import pytest
from hypothesis import given
from hypothesis import strategies as st


def test_without_a_factor_every_example_is_tried(monkeypatch):
    monkeypatch.delenv("FUZZ", raising=False)
    monkeypatch.setattr(fuzzing, "SECONDS", 0.0)
    tried = []

    def test(value):
        tried.append(value)

    fuzzing.fuzz(20)(given(st.integers())(test))()
    assert len(tried) >= 15


def test_with_a_factor_a_test_ends_in_time(monkeypatch):
    monkeypatch.setenv("FUZZ", "100")
    monkeypatch.setattr(fuzzing, "SECONDS", 0.2)
    tried = []

    def test(value):
        tried.append(value)
        time.sleep(0.02)

    fuzzing.fuzz(10)(given(st.integers())(test))()
    assert 1 <= len(tried) <= 15


def test_a_failure_is_one_although_time_is_up(monkeypatch):
    monkeypatch.setenv("FUZZ", "2")
    monkeypatch.setattr(fuzzing, "SECONDS", 0.1)

    def test(value):
        time.sleep(0.05)
        assert value < 0

    with pytest.raises(AssertionError):
        fuzzing.fuzz(10)(given(st.integers(min_value=0))(test))()
