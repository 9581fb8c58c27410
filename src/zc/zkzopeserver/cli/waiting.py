"""Waiting for a server that was started."""
from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from typing import Any
from typing import TextIO

from zc.zkzopeserver import readiness
from zc.zkzopeserver.cli import processes
from zc.zkzopeserver.cli import survey
from zc.zkzopeserver.cli import transcript
from zc.zkzopeserver.cli.settings import InstanceSettings
from zc.zkzopeserver.errors import ReadyError
from zc.zkzopeserver.errors import RegistrationError

# Seconds between two looks, and between two attempts to have a look.
LOOK_S = 0.1
RETRY_S = 1.0


class Ended(Exception):
    """The server has ended, or its manager, before it was up."""


class StartWait:
    """Waits until a server is up; `offset` is where its transcript begins.

    Raises Ended when it is gone, and a ReadyError or a RegistrationError
    when it is not up in time.
    """

    def __init__(self, settings: InstanceSettings, progress: Progress,
                 offset: int) -> None:
        self.settings = settings
        self.offset = offset
        self._progress = progress
        self._deadline = time.monotonic() + settings.start_timeout_s
        self._pid: int | None = None
        self._known: dict[str, int] = {}

    def wait(self) -> survey.Survey:
        """The survey of the server that is up."""
        if self.settings.options is None:
            return self._until_up(list)
        # Imported by those who have something to look for there.
        from zc.zkzopeserver.cli.providers import Providers
        while True:
            try:
                with Providers(self.settings.options,
                              self._goes_on) as providers:
                    return self._until_up(providers.nodes)
            except RegistrationError as reason:
                self._look()
                found = survey.survey(self.settings, problem=str(reason))
                if self._is_enough(found):
                    return found
                self._check_time(found)
            time.sleep(RETRY_S)

    def _goes_on(self) -> bool:
        """Whether there is still something to wait for."""
        self._progress.tell('starting: waiting for ZooKeeper')
        try:
            self._look()
        except Ended:
            return False
        return (time.monotonic() < self._deadline
                and not self._is_enough(survey.survey(self.settings)))

    def _is_enough(self, found: survey.Survey) -> bool:
        """Whether it serves, when that counts as started (`wait`)."""
        return (self.settings.ours.wait == 'serve'
                and len(found.members) >= found.expected
                and all(serves(pid, self.settings) for pid in found.members))

    def _look(self) -> survey.ServerProcess:
        """The server's process; Ended when it is another than before."""
        found = survey.find(self.settings.instance)
        if self._pid is None:
            self._pid = found.pid
        if found.pid is None or found.pid != self._pid:
            raise Ended
        return found

    def _until_up(self, nodes: Callable[[], list[Any]]) -> survey.Survey:
        while True:
            self._look()
            found = survey.survey(self.settings, nodes(), known=self._known)
            if found.is_up and found.process.pid == self._pid:
                return found
            self._known |= {each.node.name: each.node.pid
                            for each in found.providers if each.is_well}
            self._check_time(found)
            time.sleep(LOOK_S)

    def _check_time(self, found: survey.Survey) -> None:
        """Tell how far it is; raise when it is late."""
        self._progress.tell(how_far(found))
        if time.monotonic() > self._deadline:
            error = RegistrationError if found.problem else ReadyError
            raise error(late(self.settings, found))


def serves(pid: int, settings: InstanceSettings) -> bool:
    """Whether a process answers anywhere, registered or not."""
    path = settings.ours.ready
    return any(survey.is_well(readiness.ask(address, path or '/',
                                            survey.ANSWER_S), bool(path))
               for address in processes.ports(pid) or ())


def how_far(found: survey.Survey) -> str:
    """A start, as far as it is."""
    if found.problem:
        return f'starting: {found.problem}'
    if not found.registers:
        return 'starting'
    if len(found.registered) > len(found.answering):
        return (f'starting: {len(found.registered)} of {found.expected}'
                f' registered, {len(found.answering)} answering')
    return f'starting: {len(found.registered)} of {found.expected} registered'


def late(settings: InstanceSettings, found: survey.Survey) -> str:
    """What to say of a server that is not up in time."""
    instance = settings.instance
    text = (f'not up within {settings.start_timeout_s:g} s'
            f' ({how_far(found).partition(": ")[2] or "no answer"}); it goes'
            ' on starting: see `status`, or `stop` it')
    return '\n'.join([text, *transcript.last_lines(instance.transcript)])


# Seconds between two refreshes of the line, for the time that it shows.
REFRESH_S = 0.5


class Progress:
    """Tells how far something is; ``with`` leaves the terminal tidy.

    On a terminal there is one line, with the seconds that have passed;
    elsewhere a line for each news.
    """

    def __init__(self, name: str, stream: TextIO | None = None) -> None:
        self._name = name
        self._stream = stream or sys.stdout
        self._is_terminal = (self._stream.isatty()
                             and os.environ.get('TERM') != 'dumb')
        self._began = time.monotonic()
        self._said = ''
        self._said_at = 0.0
        self._is_shown = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self._wipe()

    def tell(self, text: str) -> None:
        """How it is now; the same again is not told again."""
        now = time.monotonic()
        if text == self._said and (not self._is_terminal or
                                   now < self._said_at + REFRESH_S):
            return
        self._said, self._said_at = text, now
        if not self._is_terminal:
            self.say(text)
            return
        self._wipe()
        self._write(f'{self._name}: {text} ({now - self._began:.0f} s)')
        self._is_shown = True

    def say(self, text: str) -> None:
        """A line that stays."""
        self._wipe()
        self._write(f'{self._name}: {text}\n')

    def _wipe(self) -> None:
        if self._is_shown:
            self._is_shown = False
            self._write('\r\x1b[K')

    def _write(self, text: str) -> None:
        # Nobody reads any more: what is done goes on.
        with contextlib.suppress(BrokenPipeError):
            self._stream.write(text)
            self._stream.flush()
