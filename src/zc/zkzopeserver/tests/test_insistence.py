"""Requests to stop, and those that insist."""
from zc.zk.testing.waiting import wait_for

from zc.zkzopeserver.insistence import Insistence


def test_the_first_signal_does_not_insist():
    assert not Insistence().is_shown()


def test_later_ones_do():
    insistence = Insistence()
    insistence.is_shown()
    wait_for(insistence.is_shown, 10)
    assert insistence.is_shown()
