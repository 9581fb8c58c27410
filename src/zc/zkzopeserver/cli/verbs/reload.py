"""``reload``: replace the workers of a running server one by one."""
from __future__ import annotations

import signal
import time
from typing import Any

from zc.zkzopeserver.cli import pidfile
from zc.zkzopeserver.cli import processes
from zc.zkzopeserver.cli import survey
from zc.zkzopeserver.cli import transcript
from zc.zkzopeserver.cli import zdaemon
from zc.zkzopeserver.cli.ini import Ini
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.providers import Providers
from zc.zkzopeserver.cli.settings import InstanceSettings
from zc.zkzopeserver.cli.verbs import Verb
from zc.zkzopeserver.cli.verbs import start as starting
from zc.zkzopeserver.cli.verbs import stop as stopping
from zc.zkzopeserver.cli.waiting import Progress
from zc.zkzopeserver.errors import StartError

DESCRIPTION = """\
Replace the workers one by one (SIGHUP), so that clients always find as many
as there should be.  The new ones read the ini anew.  Returns when all are
replaced, registered and answering; when a new one does not come up, the old
ones that are left stay.

With workers = 1 there is nothing to roll: one process cannot be replaced
without a gap.  It is restarted instead, when `start` has started it.  An ini
with wrong options is refused before anything is done."""

STATUSES = """\
exit status: 0 all are replaced; 1 not all could be replaced, or it does not
run; 2 an option or a file is wrong; 3 ZooKeeper cannot be reached; else as
`start` has it."""

LOOK_S = 0.1


def run(instance: Instance, arguments: Any = None) -> int:
    """Roll, and wait until that is done."""
    processes.become(instance.user)
    settings = InstanceSettings.of_running(instance)
    process = survey.require_running(instance)
    with Providers(settings.ours) as providers, \
            Progress(instance.name) as progress:
        if is_single(settings, process, providers):
            return instead(settings, process, progress)
        Reload(settings, process.pid, providers, progress).run()
    return 0


def is_single(settings: InstanceSettings, process: survey.ServerProcess,
              providers: Providers) -> bool:
    """Whether the process serves itself, whatever its ini says by now."""
    found = survey.survey(settings, providers.nodes())
    return (process.pid in found.registered
            or settings.workers == 1 and not found.registered)


def instead(settings: InstanceSettings, process: survey.ServerProcess,
            progress: Progress) -> int:
    """What can be done with one process."""
    text = ('it is one process (workers = 1), which cannot be replaced'
            ' without a gap')
    if process.manager is None:
        raise StartError(
            f'{text}, and it was not started by `start`: restart it with'
            ' what runs it in the foreground (systemd, supervisor)')
    progress.say(f'{text}: restarting it instead')
    return restart(settings, process, progress)


class Reload:
    """A rolling restart as it is seen from outside."""

    def __init__(self, settings: InstanceSettings, pid: int,
                 providers: Providers, progress: Progress) -> None:
        self._settings = settings
        self._pid = pid
        self._providers = providers
        self._progress = progress
        self._old = set(processes.children(pid))
        self._living = set(self._old)
        self._new: set[int] = set()
        self._known: dict[str, int] = {}

    def run(self) -> None:
        """Roll; StartError when that is given up."""
        # A worker's start and a worker's stop, in the worst case.
        patience = (self._settings.start_timeout_s
                    + self._settings.stop_timeout_s)
        stopping.send(self._pid, signal.SIGHUP)
        deadline, done = time.monotonic() + patience, 0
        while not self._is_over():
            if self._replaced() > done:
                done = self._replaced()
                deadline = time.monotonic() + patience
            if time.monotonic() > deadline:
                self._give_up(f'nothing has changed for {patience:g} s')
            self._progress.tell(
                f'rolling: {done} of {len(self._old)} workers replaced'
                + (', waiting for answers' if done == len(self._old)
                   else ''))
            time.sleep(LOOK_S)
        self._progress.say(f'reloaded: {len(self._old)} workers replaced')

    def _replaced(self) -> int:
        return len(self._old) - len(self._old & self._living)

    def _is_over(self) -> bool:
        self._living = set(processes.children(self._pid))
        if not processes.lives(self._pid):
            self._give_up('the server has ended')
        self._new |= self._living - self._old
        if self._old & self._living:
            # Only a roll that fails loses new ones while old ones are left.
            if gone := self._new - self._living:
                self._give_up(f'new worker {min(gone)} has ended')
            return False
        found = survey.survey(self._settings, self._providers.nodes(),
                              known=self._known)
        self._known |= {each.node.name: each.node.pid
                        for each in found.providers if each.is_well}
        return found.is_up

    def _give_up(self, why: str) -> None:
        path = self._settings.instance.transcript
        left = len(self._old & self._living)
        # In the foreground, it writes elsewhere.
        lines = transcript.last_lines(path) if transcript.size(path) else ()
        raise StartError('\n'.join([
            f'not reloaded: {why}; {left} of {len(self._old)} old workers'
            ' are left', *lines]))


RESTART_DESCRIPTION = """\
Stop the server, if it runs, and start it in the background.  An ini with
wrong options is refused before anything is stopped.  What `start` had on its
command line stays, unless it is given anew."""

RESTART_STATUSES = starting.STATUSES


def run_restart(instance: Instance, arguments: Any = None) -> int:
    """Stop the server, if it runs, and start it; returns when it is up."""
    starting.enter(instance)
    settings = InstanceSettings.of_running(instance)
    process = survey.find(instance)
    with Progress(instance.name) as progress:
        return restart(settings, process, progress)


def restart(settings: InstanceSettings, process: survey.ServerProcess,
            progress: Progress) -> int:
    """Stop and start; StartError for what `start` has not started."""
    if process.pid is not None and process.manager is None:
        raise StartError(
            f'pid {process.pid} was not started by `start`: restart it with'
            ' what runs it in the foreground (systemd, supervisor), or `stop`'
            ' it first')
    zdaemon.check(settings.instance)
    if process.pid is not None or process.manager is not None:
        stopping.stop(settings, process, progress)
    return starting.start(settings, survey.ServerProcess(), progress)


LOGREOPEN_DESCRIPTION = """\
Open the log files anew, after log rotation has renamed them: those of the
server and of its workers (SIGUSR2), and the transcript.  Nothing is done, and
that is fine, when the server does not run."""

LOGREOPEN_STATUSES = """\
exit status: 0 done, or it does not run; 1 an error; 2 a file is wrong."""


def logreopen(instance: Instance, arguments: Any = None) -> int:
    """Tell the server, and its manager."""
    processes.become(instance.user)
    done = []
    if zdaemon.ask(instance.socket, 'reopen_transcript') is not None:
        done.append('zdaemon')
    # Not the process that zdaemon knows of: until there is a pid file, the
    # signal would end it.
    found = pidfile.read(instance.pid_file)
    if (found and found.is_alive and Ini(instance.ini, {}).is_ours
            and stopping.send(found.pid, signal.SIGUSR2)):
        done.append(f'pid {found.pid}')
    print(f'{instance.name}: ' + (f'told {" and ".join(done)}' if done
                               else 'not running'))
    return 0


RELOAD = Verb(run, DESCRIPTION, STATUSES)
RESTART = Verb(run_restart, RESTART_DESCRIPTION, RESTART_STATUSES)
LOGREOPEN = Verb(logreopen, LOGREOPEN_DESCRIPTION, LOGREOPEN_STATUSES)
