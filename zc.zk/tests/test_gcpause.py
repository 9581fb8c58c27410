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


def test_it_is_enabled_afterwards():
    assert gc.isenabled()
    with paused():
        assert not gc.isenabled()
        with paused():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_is_enabled_after_an_error():
    with pytest.raises(TreeError):
        parse_tree('nonsense')
    assert gc.isenabled()


def test_it_stays_disabled_if_it_was():
    gc.disable()
    try:
        parse_tree('/a')
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_overlapping_pauses_leave_it_enabled():
    """End another thread's pause during ours, and then ours."""
    others = paused()
    with others:
        ours = paused()
        ours.__enter__()
    assert gc.isenabled()
    ours.__exit__(None, None, None)
    assert gc.isenabled()


def test_frozen_objects_stay_frozen():
    gc.freeze()
    try:
        count = gc.get_freeze_count()
        parse_tree('/a')
        # Frozen objects of other threads may die meanwhile. After an
        # unfreeze the count would be 0.
        assert gc.get_freeze_count() > count - 1000 > 2000
    finally:
        gc.unfreeze()


class Garbage:
    """An object that only the collector removes; `count` still exist."""

    count = 0

    def __init__(self):
        self.itself = self
        Garbage.count += 1

    def __del__(self):
        Garbage.count -= 1


@pytest.fixture
def left():
    """Return a function that makes garbage and calls another, repeatedly.

    It returns the largest number of objects of garbage that existed.
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


def test_garbage_of_the_program_is_removed(left):
    """Collect it, although a pause once moved it to the oldest generation."""
    wanted, live = parse_tree(TREE), parse_tree(TREE)
    for function in (lambda: parse_tree(TREE),
                     lambda: plan(wanted, live),
                     lambda: difference(wanted, live)):
        assert left(function, 1000) < 20000


def test_reading_a_tree_lets_garbage_be_removed(left, zookeeper, client):
    connection = client()
    assert left(lambda: read_tree(connection), 500) < 20000
