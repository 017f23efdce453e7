"""One process or several: what the environment of a launch says, and what one process alone gets."""

import numpy as np
import pytest

from competition_utils import distributed


def test_without_a_launch_there_is_one_process_and_it_is_the_first(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert (distributed.rank(), distributed.world_size(), distributed.local_rank()) == (0, 1, 0)
    assert distributed.is_first() and not distributed.is_launched()


def test_a_launch_numbers_its_processes(monkeypatch):
    for name, value in {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert (distributed.rank(), distributed.world_size(), distributed.local_rank()) == (3, 4, 1)
    assert distributed.is_launched() and not distributed.is_first()


def test_a_process_of_a_launch_that_has_not_joined_the_group_works_for_itself(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    scores = np.array([0.25, 0.5], dtype=np.float32)
    assert distributed.share() == (0, 1)
    assert distributed.gather("mine") == ["mine"]
    assert distributed.add_up(scores) is scores


def test_shares_of_several_processes_add_up(monkeypatch):
    parts = [np.array([0.25, 0], dtype=np.float32), np.array([0, 0.5], dtype=np.float32)]
    monkeypatch.setattr(distributed, "gather", lambda value: parts)
    total = distributed.add_up(parts[0])
    assert total.dtype == np.float32 and total.tolist() == [0.25, 0.5]


@pytest.mark.parametrize("call", [lambda: distributed.join(cpu=True), distributed.barrier])
def test_one_process_alone_neither_joins_nor_waits(call, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    call()
    assert distributed.share() == (0, 1)
