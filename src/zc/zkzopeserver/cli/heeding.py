"""What a server in the foreground does at SIGUSR2 and SIGHUP.

Without this, either would end it at once.  The parent of several workers
heeds them by itself, and for that time these handlers are away.
"""
from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

from zc.zkzopeserver import logconfig

# The operators' name for this.
logger = logging.getLogger('zc.zkzopeserver.signals')


@contextlib.contextmanager
def heeded() -> Iterator[None]:
    """Heed the signals; the old handlers are restored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    had_terminal = os.isatty(0)
    wanted: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    thread = threading.Thread(target=attend, args=(wanted, had_terminal),
                              name='zc.zkzopeserver.signals', daemon=True)
    thread.start()
    numbers = [signal.SIGUSR2]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        # Else it was ignored for us, as by nohup(1).
        numbers.append(signal.SIGHUP)
    old = {number: signal.signal(number, lambda got, _: wanted.put(got))
           for number in numbers}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
        wanted.put(None)
        thread.join()


def attend(wanted: queue.SimpleQueue[int | None],
           had_terminal: bool) -> None:
    """Do what the signals in the queue ask for, until there is a None."""
    for number in iter(wanted.get, None):
        try:
            if number == signal.SIGUSR2:
                reopen_logs()
            elif had_terminal and not os.isatty(0):
                logger.info('SIGHUP, as the terminal is gone')
                stop()
            else:
                logger.warning('SIGHUP: one process cannot be replaced'
                               ' without a gap; restart it instead')
        except Exception:
            logger.exception('at signal %s', number)


def running() -> list[Any]:
    """The services of this process; none for a server that is not ours."""
    runner = sys.modules.get('zc.zkzopeserver.runner')
    return list(getattr(runner, '_running', ()))


def stop() -> None:
    """Stop as SIGTERM does.

    Not by that signal, where there is another way: one that comes while the
    main thread goes back to waiting, after this one, would not wake it.
    """
    services = running()
    for service in services:
        service.request_stop()
    if not services:
        os.kill(os.getpid(), signal.SIGTERM)


def reopen_logs() -> None:
    """Open the log files anew, that of requests, too."""
    logconfig.reopen()
    for service in running():
        if service.server is not None:
            service.server.reopen_logs()
    logger.info('log files opened anew')
