"""Strands: order, tasks that block, the number of threads, the end."""
import logging
import sys
import threading

import pytest
from kazoo.exceptions import ConnectionClosedError
from zc.zk.testing.waiting import wait_for
from zc.zk.watch import strands as module
from zc.zk.watch.strands import Strands


class Observer:
    """The key of a strand."""


@pytest.fixture
def strands():
    strands = Strands('some strands')
    yield strands
    strands.close()
    strands.join(10)


@pytest.fixture
def gate():
    gate = threading.Event()
    yield gate
    gate.set()


def names():
    return [thread.name for thread in threading.enumerate()
            if thread.name == 'some strands']


def test_the_tasks_of_an_observer_keep_their_order(strands, gate):
    observer, other = Observer(), Observer()
    ran, others = [], []
    strands.put(observer, lambda: gate.wait(30))
    for number in range(100):
        strands.put(observer, lambda number=number: ran.append(number))
        strands.put(other, lambda number=number: others.append(number))
    wait_for(lambda: len(others) == 100)
    assert ran == []
    gate.set()
    wait_for(lambda: len(ran) == 100)
    assert ran == others == list(range(100))


def test_a_task_that_blocks_delays_no_other_observer(strands, gate):
    observers = [Observer() for _ in range(11)]
    for observer in observers[:10]:
        strands.put(observer, lambda: gate.wait(30))
    done = threading.Event()
    strands.put(observers[10], done.set)
    assert done.wait(10)
    assert len(names()) == 11
    gate.set()
    wait_for(lambda: len(names()) == 1)


def test_tasks_that_do_not_block_share_a_thread(strands):
    observers = [Observer() for _ in range(200)]
    threads = set()
    done = threading.Semaphore(0)
    for observer in observers:
        strands.put(observer, lambda: (
            threads.add(threading.current_thread()), done.release()))
    for _ in observers:
        assert done.acquire(timeout=10)
    assert len(threads) <= 2  # 2 if the machine stood still


def test_the_number_of_threads_has_a_limit(strands, gate, monkeypatch,
                                          caplog):
    monkeypatch.setattr(module, 'MAX_THREADS', 3)
    observers = [Observer() for _ in range(6)]
    done = []
    for observer in observers:
        strands.put(observer, lambda: (gate.wait(30), done.append(1)))
    wait_for(lambda: caplog.messages == [
        'some strands: callbacks have to wait for others: 3 are running'])
    assert len(names()) == 3
    gate.set()
    wait_for(lambda: len(done) == 6)


def test_a_thread_that_cannot_start_is_started_later(strands, monkeypatch,
                                                    caplog):
    ran = []

    def fail(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, 'start', fail)
        strands.put(strands, lambda: ran.append(1))
    assert "can't start new thread" in caplog.text
    strands.put(strands, lambda: ran.append(2))
    wait_for(lambda: ran == [1, 2])


def test_failures_are_logged_and_the_next_task_runs(strands, caplog):
    caplog.set_level(logging.DEBUG, 'zc.zk.watch')
    done = threading.Event()

    def closed():
        raise ConnectionClosedError('closed')

    for task in (lambda: 1 / 0, lambda: sys.exit('a task'), closed, done.set):
        strands.put(strands, task)
    assert done.wait(10)
    assert [(record.levelname, record.exc_info[0].__name__)
            for record in caplog.records] == [
        ('ERROR', 'ZeroDivisionError'), ('ERROR', 'SystemExit'),
        ('DEBUG', 'ConnectionClosedError')]
    assert strands.is_alive()


def test_after_close_no_task_is_taken_or_begun(strands, gate, caplog):
    going, ran = threading.Event(), []
    strands.put(strands, lambda: (going.set(), gate.wait(30)))
    strands.put(strands, lambda: ran.append('was waiting'))
    assert going.wait(10)
    strands.close()
    strands.join(.01)
    assert caplog.messages == ['some strands: a task is still running']
    assert not strands.put(strands, lambda: ran.append('came later'))
    assert not strands.is_alive()
    gate.set()
    strands.join(10)
    assert names() == ran == []


def test_a_task_may_close_and_join(strands):
    done = threading.Event()
    strands.put(strands, lambda: (strands.close(), strands.join(10),
                                  done.set()))
    assert done.wait(10)


def test_observers_that_are_dropped_leave_nothing(strands):
    done = threading.Event()
    for _ in range(100):
        strands.put(Observer(), lambda: None)
    strands.put(strands, done.set)
    assert done.wait(10)
    wait_for(lambda: len(strands._strands) == 1)
