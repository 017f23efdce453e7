"""Fewer threads where the steps of a training become slow, and the same changes after a kill."""

from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch

from competition_utils.models import threads
from competition_utils.models.threads import Threads, changes_as_notes, num_threads, read_changes

TOKENS = 100  # of a step


class Machine:
    """A clock that a step moves on by its seconds: `seconds(step, threads)`."""

    def __init__(self, seconds):
        self.seconds, self.now, self.idle = seconds, 0.0, 0.0

    def train(self, callback, steps, first=0):
        """The threads of each step."""
        state = SimpleNamespace(global_step=first, num_input_tokens_seen=first * TOKENS)
        used = []
        callback.on_train_begin(None, state, None)
        for step in range(first, steps):
            callback.on_step_begin(None, state, None)
            used.append(torch.get_num_threads())
            self.now += self.seconds(step, used[-1])
            state.global_step, state.num_input_tokens_seen = step + 1, (step + 1) * TOKENS
            callback.on_step_end(None, state, None)
        return used


@pytest.fixture
def machine(monkeypatch):
    def make(seconds):
        made = Machine(seconds)
        clock = SimpleNamespace(perf_counter=lambda: made.now, monotonic=lambda: made.now)
        monkeypatch.setattr(threads, "time", clock)
        monkeypatch.setattr(threads, "idle_cores", lambda: made.idle)
        return made

    with num_threads(2):
        yield make


def beside_load(since, until=10**9):
    """Two threads take 1 s, one 1.6 s; beside other load two take 10 s and one 3 s."""

    def seconds(step, count):
        busy = since <= step < until
        return {1: 3.0 if busy else 1.6, 2: 10.0 if busy else 1.0}[count]

    return seconds


def test_a_quiet_training_keeps_its_threads(machine, tmp_path):
    assert set(machine(beside_load(10**9)).train(Threads(tmp_path, 2), 60)) == {2}
    assert read_changes(tmp_path) == {} and changes_as_notes(tmp_path) == []


def test_slow_steps_are_tried_with_one_thread_which_is_kept_where_it_is_faster(machine, tmp_path):
    used = machine(beside_load(20)).train(Threads(tmp_path, 2), 60)
    change = used.index(1)
    assert 20 < change <= 20 + threads.STEPS
    assert set(used[change:]) == {1}


def test_steps_that_are_slow_for_another_reason_keep_their_threads(machine, tmp_path):
    used = machine(lambda step, count: (5.0 if step >= 20 else 1.0) * (3 - count)).train(Threads(tmp_path, 2), 80)
    assert used.count(1) == threads.TRIED_STEPS and used[-1] == 2


def test_all_threads_come_back_after_the_load_is_gone(machine, tmp_path):
    used = machine(beside_load(20, until=40)).train(Threads(tmp_path, 2), 400)
    assert used[40] == 1 and used[-1] == 2


def test_a_core_that_stands_idle_brings_all_threads_back_within_half_a_minute(machine, tmp_path):
    quiet_again = machine(beside_load(20, until=40))
    quiet_again.idle = 1.0
    used = quiet_again.train(Threads(tmp_path, 2), 80)
    assert used[40] == 1 and used[60:] == [2] * 20


def test_an_idle_core_that_is_of_no_use_is_tried_less_and_less_often(machine, tmp_path):
    only_one = machine(lambda step, count: {1: 1.6, 2: 10.0 if step >= 20 else 1.0}[count])
    only_one.idle = 1.0
    used = only_one.train(Threads(tmp_path, 2), 400)
    tries = [step for step in range(40, 400) if used[step - 1 : step + 1] == [1, 2]]
    gaps = [later - sooner for sooner, later in pairwise(tries)]
    assert len(tries) > 3 and gaps == sorted(gaps) and gaps[-1] > 2 * gaps[0]


def test_idle_cores_are_between_none_and_all(monkeypatch):
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: {0, 2}, raising=False)
    monkeypatch.setattr(threads.psutil, "cpu_percent", lambda percpu: [25.0, 0.0, 100.0, 0.0])
    assert threads.idle_cores() == 0.75


def test_a_change_is_reported_once(machine, tmp_path, capsys):
    machine(beside_load(20)).train(Threads(tmp_path, 2), 60)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 1 and said[0].startswith("threads: 1 instead of 2 from step ") and "last digits" in said[0]


def test_a_resumed_training_makes_the_same_changes_at_the_same_steps(machine, tmp_path):
    unbroken = machine(beside_load(20)).train(Threads(tmp_path, 2), 60)
    with num_threads(2):
        resumed = machine(beside_load(10**9)).train(Threads(tmp_path, 2), 60, first=10)
    assert resumed == unbroken[10:]


def test_a_training_resumed_behind_a_change_goes_on_with_it(machine, tmp_path):
    unbroken = machine(beside_load(20)).train(Threads(tmp_path, 2), 40)
    with num_threads(2):
        assert machine(beside_load(0)).train(Threads(tmp_path, 2), 42, first=40) == [unbroken[-1]] * 2


def test_the_changes_are_a_note_of_the_fit(machine, tmp_path):
    machine(beside_load(20)).train(Threads(tmp_path, 2), 60)
    (note,) = changes_as_notes(tmp_path)
    assert note.startswith("threads changed, since steps had become slow: 1 from step 2")
