"""Requests to stop, and those that insist."""
from zc.zk.testing.waiting import wait_for

from zc.zkzopeserver.insistence import MOMENT_S
from zc.zkzopeserver.insistence import Insistence


def shown(*times):
    """What signals at these times show, in seconds after the first."""
    insistence = Insistence(iter([1000 + time for time in times]).__next__)
    return [insistence.is_shown() for _ in times]


def test_signals_within_the_moment_are_one_request():
    assert shown(0, 0, MOMENT_S / 2, MOMENT_S * 0.99) == [False] * 4


def test_one_after_the_moment_insists():
    assert shown(0, MOMENT_S) == [False, True]
    assert shown(0, 3600) == [False, True]


def test_the_moment_is_that_of_the_first_signal():
    """Many signals in a row do not put it off."""
    assert shown(0, MOMENT_S * 0.6, MOMENT_S * 1.2, MOMENT_S * 1.3) == [
        False, False, True, True]


def test_time_passes_by_itself():
    insistence = Insistence()
    assert not insistence.is_shown()
    wait_for(insistence.is_shown, 10)
    assert insistence.is_shown()
