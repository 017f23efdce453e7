"""Tests over generated input: a few hundred examples in `make test`, thirty times as many in `make soak`."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings


def fuzz(examples: int) -> Callable:
    """Marks a hypothesis test as one that `make soak` runs with FUZZ times the examples."""
    times = int(os.environ.get("FUZZ", "1"))
    chosen = settings(max_examples=examples * times, deadline=None, suppress_health_check=list(HealthCheck))
    return lambda test: pytest.mark.timeout(300 * times)(pytest.mark.fuzz(chosen(test)))
