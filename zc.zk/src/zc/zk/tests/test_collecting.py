"""Pausing the garbage collector."""
import gc

import pytest
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
