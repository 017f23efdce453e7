"""Tests over generated input: a few hundred examples in `make test`, thirty times as many in `make soak`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

SECONDS = 120  # of a test with more than its usual examples: none of the later ones is tried


def fuzz(examples: int) -> Callable:
    """Marks a hypothesis test as one that `make soak` runs with FUZZ times the examples, for two minutes at most."""
    times = int(os.environ.get("FUZZ", "1"))
    chosen = settings(max_examples=examples * times, deadline=None, suppress_health_check=list(HealthCheck))

    def mark(test: Callable) -> Callable:
        if times > 1:
            test.hypothesis.inner_test = _for_at_most(SECONDS, test.hypothesis.inner_test)
        return pytest.mark.timeout(SECONDS + 300)(pytest.mark.fuzz(chosen(test)))

    return mark


def _for_at_most(seconds: float, test: Callable[..., Any]) -> Callable[..., Any]:
    """The test for so many seconds from its first example on; when one fails, without an end, since it is tried again
    and made smaller then."""
    until: list[float] = []

    @wraps(test)
    def within(*args: Any, **kwargs: Any) -> Any:
        until[:] = until or [time.monotonic() + seconds]
        if time.monotonic() > until[0]:
            return None
        try:
            return test(*args, **kwargs)
        except Exception:
            until[0] = float("inf")
            raise

    return within
