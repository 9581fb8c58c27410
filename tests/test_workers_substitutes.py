"""Which workers get substitutes, and when."""
from types import SimpleNamespace

import pytest

from zc.zkzopeserver.workers.process import OVERDUE_S
from zc.zkzopeserver.workers.process import Worker
from zc.zkzopeserver.workers.silence import SilenceWatch
from zc.zkzopeserver.workers.substitutes import MAX_OVERDUE_S
from zc.zkzopeserver.workers.substitutes import Substitutes


class FakeWorker:
    """A worker whose beats the test sends."""

    def __init__(self):
        self.beat_at = 0.0
        self.overdue_s = OVERDUE_S
        self.is_overdue = False
        self.is_silent = False
        self.is_about_to_hang = False
        self.had_false_alarm = False
        self.hung_at = None
        self.session = None
        self.substituted_at = None
        self.was_overdue = False

    answers_nobody = Worker.answers_nobody
    is_stuck = Worker.is_stuck

    def silence_s(self, now):
        return now - self.beat_at


class FakePool:
    """A pool in which no substitute ever comes."""

    target = 2

    def __init__(self):
        self.watched = [FakeWorker(), FakeWorker()]
        self.registered = self.watched

    @property
    def substituted(self):
        return [worker for worker in self.watched
                if worker.substituted_at is not None]


@pytest.fixture
def pool():
    return FakePool()


def silent_for(pool, seconds):
    """Have the first worker be silent, and go on; return when it was replaced.

    That is the time of its silence; None for not at all.
    """
    watch, substitutes = SilenceWatch(pool), Substitutes(pool)
    first, second = pool.watched
    first.beat_at, replaced_at = 0.0, None
    for step in range(int(seconds * 10) + 1):
        second.beat_at = now = step / 10
        watch.look(now)
        substitutes.step(now)
        if first.substituted_at is not None and replaced_at is None:
            replaced_at = first.substituted_at
    first.beat_at = now
    watch.look(now)
    substitutes.step(now)
    assert first.substituted_at is None
    return replaced_at


def test_who_goes_on_too_early_is_given_more_time(pool):
    assert silent_for(pool, 1.4) is None
    assert silent_for(pool, 2.5) == OVERDUE_S
    assert silent_for(pool, 2.5) is None
    assert silent_for(pool, 4) == OVERDUE_S * 2
    assert pool.watched[1].overdue_s == OVERDUE_S


def test_the_time_has_an_end(pool):
    for _ in range(10):
        silent_for(pool, MAX_OVERDUE_S + 1)
    assert silent_for(pool, MAX_OVERDUE_S + 1) == MAX_OVERDUE_S


@pytest.mark.parametrize('hangs', [False, True])
def test_a_hang_is_no_silence(pool, caplog, hangs):
    first, _ = pool.watched
    first.is_about_to_hang = not hangs
    first.hung_at = 1.0 if hangs else None
    substitutes = Substitutes(pool)
    substitutes.step(1.0)
    assert first.substituted_at == 1.0
    [record] = caplog.records
    assert ('answers nobody' if hangs else 'is about to hang'
            ) in record.getMessage()
    first.is_about_to_hang, first.hung_at = False, None
    substitutes.step(2.0)
    assert first.substituted_at is None
    assert first.overdue_s == OVERDUE_S
    # The next time it is silent.
    assert silent_for(pool, 2.5) == OVERDUE_S
    assert first.overdue_s == OVERDUE_S * 2


def test_a_false_alarm_of_one_worker_counts_for_its_substitute(pool):
    """Where requests take nearly hung_after, each would be replaced."""
    first, second = pool.watched
    first.had_false_alarm = True
    substitutes = Substitutes(pool)
    substitutes.step(1.0)
    assert second.had_false_alarm
    third, fourth = FakeWorker(), FakeWorker()
    fourth.is_about_to_hang = True
    pool.watched = pool.registered = [second, third, fourth]
    substitutes.step(2.0)
    assert third.had_false_alarm
    # It may be right.
    assert not fourth.had_false_alarm


def test_a_quarter_is_replaced_at_a_time(pool):
    substitutes = Substitutes(pool)
    for worker in pool.watched:
        worker.is_overdue = True
    substitutes.step(1.0)
    assert [worker.substituted_at for worker in pool.watched] == [1.0, None]
    pool.target = 8
    pool.watched = pool.watched[:2] + [FakeWorker() for _ in range(6)]
    for worker in pool.watched:
        worker.is_overdue = True
    substitutes.step(2.0)
    assert len(pool.substituted) == 2


def test_who_is_not_needed_is_stopped(pool):
    stopped = []
    pool.stop = lambda worker, now: stopped.append(worker)
    first, second = pool.watched
    first.substituted_at = 1.0
    pool.registered = [first, second, SimpleNamespace(substituted_at=None)]
    Substitutes(pool).step(2.0)
    assert stopped == [first]


def test_a_parent_without_workers_to_watch_was_not_halted(pool, caplog):
    """It waits as long as they take to start or to stop, or for a back-off."""
    watch = SilenceWatch(pool)
    workers, pool.watched = pool.watched, []
    for worker in workers:
        worker.beat_at = 20.0
    watch.look(0)
    watch.look(10)
    pool.watched = workers
    watch.look(20)
    assert not caplog.records
    watch.look(30)
    assert 'this process did not run for 10.0 s' in caplog.text
