"""Pausing the garbage collector."""
import gc

import pytest
from zc.zk.collecting import FEW
from zc.zk.collecting import paused
from zc.zk.tree import TreeError
from zc.zk.tree import parse_tree


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


def test_what_was_made_counts_as_old():
    """Else the collector would look at all of it right afterwards."""
    looked = []
    gc.callbacks.append(lambda *_: looked.append(1))
    try:
        with paused():
            made = [[] for _ in range(100000)]
        more = []
    finally:
        del gc.callbacks[-1]
    assert not looked
    assert gc.get_freeze_count() < FEW
    assert made is not more


def test_what_others_have_frozen_stays_so():
    gc.freeze()
    try:
        count = gc.get_freeze_count()
        parse_tree('/a')
        assert gc.get_freeze_count() >= count > FEW
    finally:
        gc.unfreeze()
