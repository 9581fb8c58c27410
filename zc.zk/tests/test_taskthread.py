"""Tasks in a thread: order, failures, the end."""
import logging
import threading

import pytest
from kazoo.exceptions import ConnectionClosedError
from zc.zk.taskthread import TaskThread


@pytest.fixture
def tasks():
    tasks = TaskThread('some tasks')
    yield tasks
    tasks.close()
    tasks.join(10)


@pytest.fixture
def done():
    return threading.Event()


def test_tasks_run_when_they_are_due(tasks, done):
    ran, all_put = [], threading.Event()
    tasks.put(lambda: all_put.wait(10))
    tasks.put(lambda: (ran.append('late'), done.set()), .05)
    for number in range(3):
        tasks.put(lambda number=number: ran.append(number))
    all_put.set()
    assert done.wait(10)
    assert ran == [0, 1, 2, 'late']


def test_a_task_that_fails_is_logged_and_the_next_runs(tasks, done, caplog):
    tasks.put(lambda: 1 / 0)
    tasks.put(done.set)
    assert done.wait(10)
    assert 'A task of some tasks failed' in caplog.text
    assert 'ZeroDivisionError' in caplog.text


def test_a_closed_connection_is_no_failure(tasks, done, caplog):
    def closed():
        raise ConnectionClosedError('closed')

    caplog.set_level(logging.DEBUG, 'zc.zk')
    tasks.put(closed)
    tasks.put(done.set)
    assert done.wait(10)
    assert [record.levelname for record in caplog.records
            if record.name == 'zc.zk'] == ['DEBUG']


def test_after_close_no_task_is_taken_or_begun(tasks, done):
    going, ran = threading.Event(), []
    tasks.put(lambda: (going.set(), done.wait(10)))
    tasks.put(lambda: ran.append('was waiting'))
    assert going.wait(10)
    tasks.close()
    assert not tasks.put(lambda: ran.append('came later'))
    done.set()
    tasks.join(10)
    assert tasks.closed
    assert ran == []


def test_join_logs_a_task_that_goes_on(tasks, done, caplog):
    tasks.put(lambda: done.wait(10))
    tasks.join(.01)
    assert caplog.messages == ['some tasks: a task is still running']
    done.set()


def test_a_task_may_close_and_join(tasks, done):
    tasks.put(lambda: (tasks.close(), tasks.join(), done.set()))
    assert done.wait(10)


def test_join_without_a_thread(tasks):
    tasks.join()
