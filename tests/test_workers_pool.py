"""The back-off: when the next worker is started."""
from __future__ import annotations

import pytest

from zc.zkzopeserver.workers import pool
from zc.zkzopeserver.workers.pool import Backoff


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch):
    monkeypatch.setattr(pool.random, 'uniform', lambda low, high: high)


def test_early_deaths_wait_longer_and_longer():
    waits = Backoff()
    assert [waits.died(now, None) for now in range(9)] == [
        0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert waits.early == 9
    assert waits.ready_at == 8 + 30


def test_a_sound_worker_is_replaced_at_once():
    waits = Backoff()
    waits.died(0, None)
    assert waits.died(1, pool.SOUND_S) == 0
    assert waits.ready_at == 1
    assert waits.died(2, None) == 0.5


def test_short_lives_are_slowed_down_and_do_not_count_as_early():
    waits = Backoff()
    found = []
    for now in range(4):
        waits.registered()
        found.append(waits.died(now, 0.1))
    assert found == [0, 0.5, 1, 2]
    assert waits.early == 0


def test_a_registration_ends_a_row():
    waits = Backoff()
    for now in range(4):
        waits.died(now, None)
    waits.registered()
    waits.died(5, None)
    assert waits.early == 1


def test_a_quiet_time_ends_the_long_waits():
    waits = Backoff()
    for now in range(4):
        waits.died(now, None)
    assert waits.died(4 + pool.QUIET_S, None) == 0.5
    assert waits.early == 5


def test_mended_by_hand():
    waits = Backoff()
    for now in range(4):
        waits.died(now, None)
    waits.reset()
    assert (waits.early, waits.ready_at) == (0, 0)
    assert waits.died(5, None) == 0.5


def test_jitter(monkeypatch):
    monkeypatch.undo()
    found = {Backoff().died(0, None) for _ in range(20)}
    assert len(found) > 1
    assert all(0.375 <= wait <= 0.5 for wait in found)
