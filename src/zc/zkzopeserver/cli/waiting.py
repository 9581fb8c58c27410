"""Wait for a server that was started, and tell how far it is meanwhile."""
from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from typing import TextIO

from zc.zkzopeserver import readiness
from zc.zkzopeserver.cli import processes
from zc.zkzopeserver.cli import survey
from zc.zkzopeserver.cli import transcript
from zc.zkzopeserver.cli.providers import Provider
from zc.zkzopeserver.cli.providers import Providers
from zc.zkzopeserver.cli.settings import InstanceSettings
from zc.zkzopeserver.errors import ReadyError
from zc.zkzopeserver.errors import RegistrationError

# How long to wait between two surveys, and before ZooKeeper is asked again
# after it has failed.
SURVEY_S = 0.1
RETRY_S = 1.0

# How long the line on a terminal stands before its seconds are renewed.
REFRESH_S = 0.5


class Progress:
    """Tell how far a verb is; a context manager that tidies the terminal.

    On a terminal there is one line that changes, with the seconds that have
    passed; elsewhere a line for each new text.  `name` begins each line.
    `stream` is stdout by default, `clock` returns seconds.
    """

    def __init__(self, name: str, stream: TextIO | None = None,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._stream = stream or sys.stdout
        self._terminal = getattr(self._stream, 'terminal', self._stream)
        self._clock = clock
        self._is_terminal = (self._stream.isatty()
                             and os.environ.get('TERM') != 'dumb')
        self._began = clock()
        self._text = ''
        self._told_at = 0.0
        self._has_line = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self._wipe()

    def tell(self, text: str) -> None:
        """Tell how far it is; the same text again is told once."""
        now = self._clock()
        if text == self._text and (not self._is_terminal or
                                   now < self._told_at + REFRESH_S):
            return
        self._text, self._told_at = text, now
        if not self._is_terminal:
            self.say(text)
            return
        self._wipe()
        self._write(f'{self._name}: {text} ({now - self._began:.0f} s)')
        self._has_line = True

    def say(self, text: str) -> None:
        """Write a line that stays."""
        self._wipe()
        self._write(f'{self._name}: {text}\n')

    def _wipe(self) -> None:
        if self._has_line:
            self._has_line = False
            self._write('\r\x1b[K', self._terminal)

    def _write(self, text: str, stream: TextIO | None = None) -> None:
        # The verb goes on when the reader of its output is gone.
        with contextlib.suppress(BrokenPipeError):
            (stream or self._stream).write(text)
            self._stream.flush()


class Ended(Exception):
    """The server or its manager has ended before the server was up."""


class StartWait:
    """Wait until a server that was started is up.

    `offset` is the size that its transcript had before, in bytes.
    """

    def __init__(self, settings: InstanceSettings, progress: Progress,
                 offset: int) -> None:
        self.settings = settings
        self.offset = offset
        self._progress = progress
        self._deadline = time.monotonic() + settings.start_timeout_s
        self._pid: int | None = None
        self._answered: dict[str, int] = {}

    def wait(self) -> survey.Survey:
        """Wait; return the survey of the server that is up.

        Ended when the server is gone; ReadyError or RegistrationError when
        it is not up within the start's timeout.
        """
        options = self.settings.options
        if options is None:
            return self._until_up(list)
        while True:
            try:
                with Providers(options, self._goes_on) as providers:
                    return self._until_up(providers.nodes)
            except RegistrationError as error:
                self._check_process()
                result = survey.survey(self.settings, problem=str(error))
                if self._is_enough(result):
                    return result
                self._check_time(result)
            time.sleep(RETRY_S)

    def _goes_on(self) -> bool:
        """Return whether to go on waiting for ZooKeeper."""
        self._progress.tell('starting: waiting for ZooKeeper')
        try:
            self._check_process()
        except Ended:
            return False
        return (time.monotonic() < self._deadline
                and not self._is_enough(survey.survey(self.settings)))

    def _is_enough(self, result: survey.Survey) -> bool:
        """Return whether it serves, when `wait` says that this is enough."""
        return (self.settings.ours.wait == 'serve'
                and len(result.members) >= result.expected
                and all(serves(pid, self.settings) for pid in result.members))

    def _check_process(self) -> None:
        """Raise Ended when the server's process is not the one of before."""
        process = survey.find(self.settings.instance)
        if self._pid is None:
            self._pid = process.pid
        if process.pid is None or process.pid != self._pid:
            raise Ended

    def _until_up(self, nodes: Callable[[], list[Provider]]) -> survey.Survey:
        while True:
            self._check_process()
            result = survey.survey(self.settings, nodes(),
                                   answered=self._answered)
            if result.is_up and result.process.pid == self._pid:
                return result
            self._answered |= result.answered
            self._check_time(result)
            time.sleep(SURVEY_S)

    def _check_time(self, result: survey.Survey) -> None:
        """Tell how far it is; raise an error when it is late."""
        self._progress.tell(how_far(result))
        if time.monotonic() > self._deadline:
            error = RegistrationError if result.problem else ReadyError
            raise error(late(self.settings, result))


def serves(pid: int, settings: InstanceSettings) -> bool:
    """Return whether a process answers at any port, registered or not."""
    path = settings.ours.ready
    way = readiness.question(settings.ours)
    return any(survey.is_well(readiness.ask(address, path or '/',
                                            survey.ANSWER_S, way),
                              bool(path))
               for address in processes.ports(pid) or ())


def how_far(result: survey.Survey) -> str:
    """Return how far a start is, in words."""
    if result.problem:
        return f'starting: {result.problem}'
    if not result.registers:
        return 'starting'
    counts = f'{len(result.registered)} of {result.expected} registered'
    if len(result.registered) > len(result.answering):
        counts += f', {len(result.answering)} answering'
    return f'starting: {counts}'


def late(settings: InstanceSettings, result: survey.Survey) -> str:
    """Return the error message for a server that is not up in time."""
    instance = settings.instance
    text = (f'not up within {settings.start_timeout_s:g} s'
            f' ({how_far(result).partition(": ")[2] or "no answer"}); it goes'
            ' on starting: see `status`, or `stop` it')
    return '\n'.join([text, *transcript.last_lines(instance.transcript)])
