"""Whether the prompts' common beginning is computed once: by a trial that a busy machine does not disturb."""

import time

import pytest

from competition_utils.models.scoring.shared_prefix import pays

FACTS = {"prefix_tokens": 20, "model": "a"}


@pytest.fixture(autouse=True)
def no_earlier_trials(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def work(cpu: float, waiting: float = 0.0):
    """Something that takes so many seconds of a CPU, and waits for others besides."""

    def call():
        until = time.process_time() + cpu
        while time.process_time() < until:
            pass
        time.sleep(waiting)

    return call


def test_a_busy_moment_does_not_decide_on_a_cpu():
    held_up = work(cpu=0.005, waiting=0.05)
    assert pays(held_up, work(cpu=0.015), on_gpu=False, facts=FACTS)


def test_on_a_gpu_the_clock_decides():
    assert not pays(work(cpu=0.0, waiting=0.02), work(cpu=0.001), on_gpu=True, facts=FACTS)


def test_what_was_found_holds_for_the_next_time():
    assert pays(work(cpu=0.001), work(cpu=0.01), on_gpu=False, facts=FACTS)
    assert pays(work(cpu=0.01), work(cpu=0.001), on_gpu=False, facts=FACTS)
