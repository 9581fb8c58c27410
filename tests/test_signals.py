"""Signals that a selector sees, and stop signals that are repeated."""
from __future__ import annotations

import os
import select
import signal

from zc.zk.testing.leaks import no_leaks
from zc.zk.testing.waiting import wait_for

from zc.zkzopeserver.signals import SAME_REQUEST_S
from zc.zkzopeserver.signals import SignalReceiver
from zc.zkzopeserver.signals import StopRequests


def test_signals_in_their_order():
    with no_leaks(), SignalReceiver(
            [signal.SIGUSR1, signal.SIGUSR2]) as receiver:
        assert receiver.read() == []
        for number in signal.SIGUSR2, signal.SIGUSR1, signal.SIGUSR1:
            os.kill(os.getpid(), number)
        assert select.select([receiver], [], [], 5)[0]
        assert receiver.read() == [signal.SIGUSR2, signal.SIGUSR1,
                                 signal.SIGUSR1]
        assert receiver.read() == []


def test_everything_is_as_before():
    def ours(number, frame):
        """The handler that was there."""

    old = signal.signal(signal.SIGUSR1, ours)
    try:
        with SignalReceiver([signal.SIGUSR1, signal.SIGUSR2]):
            assert signal.getsignal(signal.SIGUSR1) is not ours
        assert signal.getsignal(signal.SIGUSR1) is ours
        assert signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        signal.signal(signal.SIGUSR1, old)


def test_more_signals_than_there_is_room_for(capfd):
    with SignalReceiver([signal.SIGUSR1]) as receiver:
        for _ in range(5000):
            os.kill(os.getpid(), signal.SIGUSR1)
        assert signal.SIGUSR1 in receiver.read()
    assert capfd.readouterr().err == ''


def repeated(*times):
    """Which signals at these times, in seconds, repeat the first request."""
    requests = StopRequests(iter([1000 + time for time in times]).__next__)
    return [requests.is_repeated() for _ in times]


def test_signals_within_the_moment_are_one_request():
    assert repeated(0, 0, SAME_REQUEST_S / 2, SAME_REQUEST_S * 0.99) == [
        False] * 4


def test_a_later_one_is_repeated():
    assert repeated(0, SAME_REQUEST_S) == [False, True]
    assert repeated(0, 3600) == [False, True]


def test_the_moment_is_that_of_the_first_signal():
    """Many signals in a row do not put it off."""
    assert repeated(0, SAME_REQUEST_S * 0.6, SAME_REQUEST_S * 1.2,
                    SAME_REQUEST_S * 1.3) == [False, False, True, True]


def test_time_passes_by_itself():
    requests = StopRequests()
    assert not requests.is_repeated()
    wait_for(requests.is_repeated, 10)
    assert requests.is_repeated()
