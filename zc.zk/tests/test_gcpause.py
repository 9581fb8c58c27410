"""Pausing the garbage collector."""
import gc

import pytest
from zc.zk.gcpause import paused
from zc.zk.sync.diff import difference
from zc.zk.sync.diff import plan
from zc.zk.sync.reader import read_tree
from zc.zk.tree import TreeError
from zc.zk.tree import parse_tree

TREE = '/a\n  x = 1\n'


def test_it_goes_on_afterwards():
    assert gc.isenabled()
    with paused():
        assert not gc.isenabled()
        with paused():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_goes_on_after_an_error():
    with pytest.raises(TreeError):
        parse_tree('nonsense')
    assert gc.isenabled()


def test_it_stays_off_where_it_was():
    gc.disable()
    try:
        parse_tree('/a')
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_it_stays_off_for_nobody_else():
    """Another thread's pause ends while ours goes on, and ours after it."""
    others = paused()
    with others:
        ours = paused()
        ours.__enter__()
    assert gc.isenabled()
    ours.__exit__(None, None, None)
    assert gc.isenabled()


def test_what_others_have_frozen_stays_so():
    gc.freeze()
    try:
        count = gc.get_freeze_count()
        parse_tree('/a')
        assert gc.get_freeze_count() >= count > 2000
    finally:
        gc.unfreeze()


class Garbage:
    """What only the collector removes; ``count`` are still there."""

    count = 0

    def __init__(self):
        self.itself = self
        Garbage.count += 1

    def __del__(self):
        Garbage.count -= 1


@pytest.fixture
def left():
    """A function that leaves garbage and calls another, again and again;
    returns how much garbage was there at most.
    """
    def call(function, times):
        most = 0
        for _ in range(times):
            for _ in range(100):
                Garbage()
            function()
            most = max(most, Garbage.count)
        return most

    gc.collect()
    yield call
    gc.collect()
    assert not Garbage.count


def test_the_garbage_of_others_is_removed(left):
    """It was not: it became old, and the old were never looked at."""
    wanted, live = parse_tree(TREE), parse_tree(TREE)
    for function in (lambda: parse_tree(TREE),
                     lambda: plan(wanted, live),
                     lambda: difference(wanted, live)):
        assert left(function, 1000) < 20000


def test_reading_a_tree_lets_garbage_be_removed(left, zookeeper, client):
    connection = client()
    assert left(lambda: read_tree(connection), 500) < 20000
