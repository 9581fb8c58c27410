"""Many calls at once, for so long and no longer."""
import threading
import time

import pytest

from zc.zkzopeserver.cli.parallel import concurrently


def late(item):
    return f'late {item}'


def test_results_have_the_order_of_the_items():
    def work(item):
        time.sleep((9 - item) / 1000)
        return item * 2

    assert concurrently(work, range(10), 4, 30, late) == list(range(0, 20, 2))
    assert concurrently(work, [], 4, 30, late) == []


def test_so_many_at_once():
    running, most = 0, 0
    lock = threading.Lock()

    def work(item):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.005)
        with lock:
            running -= 1

    concurrently(work, range(20), 3, 30, late)
    assert most == 3


def test_what_hangs_is_left():
    end = threading.Event()

    def work(item):
        if item == 1:
            end.wait(30)
        return item

    try:
        assert concurrently(work, range(4), 2, 0.3, late) == [
            0, 'late 1', 2, 3]
    finally:
        end.set()


def test_what_has_not_begun_never_does():
    end = threading.Event()
    begun = []

    def work(item):
        begun.append(item)
        end.wait(30)

    assert concurrently(work, range(4), 2, 0.1, late) == [
        f'late {number}' for number in range(4)]
    end.set()
    assert sorted(begun) == [0, 1]


def test_an_exception_is_raised():
    def work(item):
        raise ValueError(item)

    with pytest.raises(ValueError):
        concurrently(work, range(4), 2, 30, late)
