"""A program with a real parent and stand-ins for its workers.

Run as ``standin.py FOLDER``.  The parent reads ``FOLDER/settings``, and each
worker, as it would an ini, ``FOLDER/plan``; both are JSON.  A worker adds a
line ``PID EVENT`` to ``FOLDER/events`` for what happens to it.
"""
from __future__ import annotations

import importlib
import json
import logging
import os
import select
import signal
import sys
import threading
import time
from pathlib import Path

from zc.zkzopeserver import logconfig
from zc.zkzopeserver import options
from zc.zkzopeserver.signals import SignalReceiver
from zc.zkzopeserver.workers import protocol

REQUIRED = {'zookeeper': 'localhost:2181', 'path': '/providers'}


def main(folder: Path) -> int:
    """Be the parent, or a worker; return the exit status."""
    settings = json.loads((folder / 'settings').read_text())
    for name, value in settings.pop('constants', {}).items():
        module, _, constant = name.rpartition('.')
        module = importlib.import_module('zc.zkzopeserver.' + module)
        assert hasattr(module, constant)
        setattr(module, constant, value)
    if 'log' in settings:
        logging.basicConfig(level=logging.INFO, filename=settings.pop('log'),
                            format='%(levelname)s %(process)d %(message)s')
    parsed = options.parse(REQUIRED | settings)
    if protocol.is_parent(parsed.workers):
        from zc.zkzopeserver import workers
        logconfig.configure_default()
        return workers.run_parent(parsed)
    return StandIn(folder).run()


class StandIn:
    """A worker that does what the plan says, and notes what happens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tell('started')
        self.plan = json.loads((folder / 'plan').read_text())
        self.link = protocol.link()
        self.parent_is_gone = threading.Event()
        self.hurry = threading.Event()
        self.hangs = False

    def tell(self, event: str) -> None:
        """Add a line to the events."""
        with open(self.folder / 'events', 'a') as events:
            events.write(f'{os.getpid()} {event}\n')

    def run(self) -> int:
        """Follow the plan; return the exit status."""
        with SignalReceiver([signal.SIGTERM, signal.SIGUSR1,
                             signal.SIGUSR2]) as receiver:
            self.link.hello(protocol.WorkerOptions(**self.plan['limits']))
            self.link.attend({'reopen': self.reopen,
                              'hurry': self.hurry.set}, self.gone, 60)
            if 'exit' in self.plan:
                return self.plan['exit']
            if 'deaf' in self.plan:
                self.link.close()
            if 'serving' in self.plan:
                self.link.serving()
            if 'silent' not in self.plan:
                self.register()
            self.loop(receiver)
            self.link.stopping()
            self.tell('stopping')
            status = self.linger()
        self.tell('ended')
        self.link.close()
        return status

    def register(self) -> None:
        """Say that it is registered, and crash or stop as the plan says."""
        if 'crash' not in self.plan:
            # A worker that is to crash at once does not count as registered.
            self.tell('registered')
        self.link.registered(f'127.0.0.1:{os.getpid()}')
        if 'crash' in self.plan:
            os.kill(os.getpid(), signal.SIGKILL)
        if 'leave' in self.plan:
            os.kill(os.getpid(), signal.SIGTERM)

    def reopen(self) -> None:
        """Open the log files anew."""
        logconfig.reopen()
        logging.info('log files opened anew')
        self.tell('reopened')

    def gone(self) -> None:
        """Note that the parent is gone."""
        self.tell('orphaned')
        self.parent_is_gone.set()

    def loop(self, receiver: SignalReceiver) -> None:
        """Beat until SIGTERM; SIGUSR1 makes it hang, SIGUSR2 uses it up."""
        interval = self.link.beat_interval_s or 0.5
        has_beaten = False
        while not self.parent_is_gone.is_set():
            if not self.hangs:
                self.link.beat()
                if not has_beaten:
                    has_beaten = True
                    self.tell('beating')
            select.select([receiver], [], [], min(interval, 0.1))
            signals = receiver.read()
            self.hangs |= signal.SIGUSR1 in signals
            if signal.SIGUSR2 in signals:
                self.link.used(9)
            if signal.SIGTERM in signals:
                return

    def linger(self) -> int:
        """Take the time that the plan says; return the exit status.

        1 after the message ``hurry``, else 0.
        """
        while ('slow' in self.plan
               and not (self.folder / 'release').exists()):
            if self.plan['slow'] == 1 and self.hurry.is_set():
                self.tell('hurried')
                return 1
            time.sleep(0.01)
        return 0


if __name__ == '__main__':
    sys.exit(main(Path(sys.argv[1])))
