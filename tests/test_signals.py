"""Signals that a selector sees."""
from __future__ import annotations

import os
import select
import signal

from zc.zk.testing.leaks import no_leaks

from zc.zkzopeserver.signals import Wakeup


def test_signals_in_their_order():
    with no_leaks(), Wakeup([signal.SIGUSR1, signal.SIGUSR2]) as wakeup:
        assert wakeup.read() == []
        for number in signal.SIGUSR2, signal.SIGUSR1, signal.SIGUSR1:
            os.kill(os.getpid(), number)
        assert select.select([wakeup], [], [], 5)[0]
        assert wakeup.read() == [signal.SIGUSR2, signal.SIGUSR1,
                                 signal.SIGUSR1]
        assert wakeup.read() == []


def test_everything_is_as_before():
    def ours(number, frame):
        """The handler that was there."""

    old = signal.signal(signal.SIGUSR1, ours)
    try:
        with Wakeup([signal.SIGUSR1, signal.SIGUSR2]):
            assert signal.getsignal(signal.SIGUSR1) is not ours
        assert signal.getsignal(signal.SIGUSR1) is ours
        assert signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        signal.signal(signal.SIGUSR1, old)


def test_more_signals_than_there_is_room_for(capfd):
    with Wakeup([signal.SIGUSR1]) as wakeup:
        for _ in range(5000):
            os.kill(os.getpid(), signal.SIGUSR1)
        assert signal.SIGUSR1 in wakeup.read()
    assert capfd.readouterr().err == ''
