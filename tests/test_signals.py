"""Handlers of signals, for each role of a process."""
from __future__ import annotations

import os
import select
import signal
import threading

import pytest
from zc.zk.testing.leaks import no_leaks
from zc.zk.testing.waiting import wait_for

from zc.zkzopeserver import logconfig
from zc.zkzopeserver import signals
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


class Recorder:
    """A service that only notes what it is asked for."""

    def __init__(self):
        self.stopped = threading.Event()
        self.calls = []

    def request_stop(self):
        self.calls.append('stop')

    def force_exit(self):
        self.calls.append('force')

    def reopen_logs(self):
        self.calls.append('reopen')
        return []


@pytest.mark.parametrize('number', signals.STOP_SIGNALS)
def test_the_first_stop_signal_asks_and_a_repeated_one_forces(number):
    before = signal.getsignal(number)
    service = Recorder()
    with signals.stopping(service):
        assert signals.running == {service: threading.current_thread()}
        os.kill(os.getpid(), number)
        wait_for(lambda: service.calls == ['stop'])

        def forced():
            os.kill(os.getpid(), number)
            return service.calls[-1] == 'force'

        wait_for(forced)
        assert set(service.calls[:-1]) == {'stop'}
    assert signals.running == {}
    assert signal.getsignal(number) == before


def test_a_worker_is_stopped_and_never_forced():
    service = Recorder()
    repeated = StopRequests()
    with signals.stopping_worker(service):
        wait_for(lambda: os.kill(os.getpid(), signal.SIGTERM)
                 or repeated.is_repeated())
        for number in signals.PARENT_SIGNALS:
            os.kill(os.getpid(), number)
    assert set(service.calls) == {'stop'}


def test_operators_have_the_logs_of_a_service_opened_anew(caplog,
                                                          monkeypatch):
    caplog.set_level('INFO')
    # pytest has a handler with a file, which would be opened anew as well.
    monkeypatch.setattr(logconfig, '_handlers', lambda: [])
    service = Recorder()
    with no_leaks(), signals.serving_operators(), signals.stopping(service):
        os.kill(os.getpid(), signal.SIGUSR2)
        wait_for(lambda: service.calls == ['reopen'])
        os.kill(os.getpid(), signal.SIGHUP)
        wait_for(lambda: 'one process cannot be replaced' in caplog.text)
    assert 'log files opened anew' in caplog.text
    assert service.calls == ['reopen']


def test_an_ignored_hangup_stays_ignored():
    old = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.serving_operators():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, old)


def test_all_services_are_asked_to_stop():
    service = Recorder()
    with signals.stopping(service):
        signals.stop_all()
    assert service.calls == ['stop']


def test_without_a_service_the_process_gets_sigterm():
    received = []
    with signals.calling([signal.SIGTERM], lambda: received.append(1)):
        signals.stop_all()
        wait_for(lambda: received == [1])


def test_other_threads_install_nothing():
    before = [signal.getsignal(number) for number in signals.STOP_SIGNALS]
    seen = []

    def run():
        service = Recorder()
        with signals.stopping(service), signals.stopping_worker(service), \
                signals.serving_operators():
            seen.append(service in signals.running)
            seen.extend(signal.getsignal(number)
                        for number in signals.STOP_SIGNALS)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [True, *before]
