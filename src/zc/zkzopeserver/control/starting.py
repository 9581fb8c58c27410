"""``start``: serve in the background."""
from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from zc.zkzopeserver.control import daemon
from zc.zkzopeserver.control import privileges
from zc.zkzopeserver.control import stopping
from zc.zkzopeserver.control import survey
from zc.zkzopeserver.control import transcript
from zc.zkzopeserver.control.place import Place
from zc.zkzopeserver.control.progress import Progress
from zc.zkzopeserver.control.settings import Settings
from zc.zkzopeserver.errors import ReadyError
from zc.zkzopeserver.errors import RegistrationError
from zc.zkzopeserver.errors import StartError

DESCRIPTION = """\
Serve in the background, by zdaemon.  Returns when the node of each worker is
in ZooKeeper and answers.  A server that ends before is not started again, and
its last lines are shown; one that takes longer than start-timeout goes on
starting.  Where it runs already, nothing is started, and it is waited for in
the same way.

Later, a server that dies is started again after 1, 2, ... 10 seconds; one that
ends with status 0 or 2 is not."""

STATUSES = """\
exit status: 0 it is registered and answers; 1 it has ended, for another
reason than these; 2 an option, an address or a file is wrong; 3 ZooKeeper
cannot be reached, or the path is not there; 4 it is not up in time; 5 its
workers died again and again."""

# Seconds between two looks, and between two attempts to have a look.
LOOK_S = 0.1
RETRY_S = 1.0

# Seconds for the manager to end, beyond what the server takes.
MANAGER_S = 10.0


class Ended(Exception):
    """The server has ended, or its manager, before it was up."""


def run(place: Place, arguments: Any = None) -> int:
    """Start the server, unless it runs, and wait until it is up."""
    enter(place)
    process = survey.find(place)
    settings = (Settings(place) if process.pid is None
                else Settings.of_running(place))
    with Progress(place.name) as progress:
        return start(settings, process, progress)


def enter(place: Place) -> None:
    """Be who the server runs as, with the directories of its files."""
    privileges.become(
        place.user, tuple({os.path.dirname(path) for path in (
            place.pid_file, place.socket, place.transcript)}), required=True)


def start(settings: Settings, process: survey.Process,
          progress: Progress) -> int:
    """Start the server if it is not that `process`; wait until it is up."""
    place = settings.place
    if process.pid is not None:
        progress.say(f'already running, pid {process.pid}')
    elif process.manager is not None:
        # It has died; zdaemon would start it again as it was.
        stopping.stop(settings, process, progress)
    waiting = Waiting(settings, progress, transcript.size(place.transcript))
    if process.pid is None and not daemon.launch(
            place, settings.stop_timeout_s):
        progress.say('another start is at work')
    try:
        found = waiting.wait()
    except Ended:
        return failed(settings, waiting)
    count = len(found.registered)
    where = ', '.join(each.node.name for each in
                      found.of(survey.Kind.OURS)) or 'no known address'
    progress.say(f'up, pid {found.process.pid}, at {where}' + (
        f' ({count} workers)' if count > 1 else ''))
    return 0


class Waiting:
    """Waits until a server is up; `offset` is where its transcript begins.

    Raises Ended when it is gone, and a ReadyError or a RegistrationError
    when it is not up in time.
    """

    def __init__(self, settings: Settings, progress: Progress,
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
        from zc.zkzopeserver.control.registry import Registry
        while True:
            try:
                with Registry(self.settings.options,
                              self._goes_on) as registry:
                    return self._until_up(registry.nodes)
            except RegistrationError as reason:
                self._look()
                self._check_time(survey.survey(self.settings,
                                               problem=str(reason)))
            time.sleep(RETRY_S)

    def _goes_on(self) -> bool:
        """Whether there is still something to wait for."""
        self._progress.tell('starting: waiting for ZooKeeper')
        try:
            self._look()
        except Ended:
            return False
        return time.monotonic() < self._deadline

    def _look(self) -> survey.Process:
        """The server's process; Ended when it is another than before."""
        found = survey.find(self.settings.place)
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


def late(settings: Settings, found: survey.Survey) -> str:
    """What to say of a server that is not up in time."""
    place = settings.place
    text = (f'not up within {settings.start_timeout_s:g} s'
            f' ({how_far(found).partition(": ")[2] or "no answer"}); it goes'
            ' on starting: see `status`, or `stop` it')
    return '\n'.join([text, *last_lines(place, 0)])


def failed(settings: Settings, waiting: Waiting) -> int:
    """Stop what is left of a start, and tell why; the exit status."""
    place = settings.place
    if daemon.ask(place.socket, 'stop') is not None:
        daemon.wait_gone(place.socket, settings.stop_timeout_s + MANAGER_S)
    status = transcript.exit_status(place.transcript, waiting.offset)
    how = {None: 'has ended', 0: 'was stopped'}.get(
        status, f'has ended with status {status}')
    if status and status < 0:
        how = f'was killed by signal {-status}'
    raise Failed('\n'.join([f'the server {how} before it was up',
                            *last_lines(place, waiting.offset)]), status)


class Failed(StartError):
    """The server has ended with this status instead of coming up."""

    def __init__(self, text: str, status: int | None) -> None:
        super().__init__(text)
        self.exit_status = status if status in range(1, 6) else 1


def last_lines(place: Place, offset: int) -> list[str]:
    """The last lines of the transcript, and whose they are."""
    lines = transcript.tail(place.transcript, offset)
    if not lines:
        return [f'nothing was written to {place.transcript}']
    return [f'the last lines of {place.transcript}:',
            *(f'    {line}' for line in lines)]
