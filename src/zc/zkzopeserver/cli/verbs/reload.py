"""``reload``, ``restart``, ``logreopen``: renew what runs.

`reload` replaces the workers of a running server one by one, `restart` stops
and starts it, `logreopen` opens its log files anew.
"""
from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from zc.zkzopeserver import rotation
from zc.zkzopeserver.cli import pidfile
from zc.zkzopeserver.cli import processes
from zc.zkzopeserver.cli import proof
from zc.zkzopeserver.cli import survey
from zc.zkzopeserver.cli import transcript
from zc.zkzopeserver.cli import zdaemon
from zc.zkzopeserver.cli.ini import Ini
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.providers import Providers
from zc.zkzopeserver.cli.settings import InstanceSettings
from zc.zkzopeserver.cli.settings import read_for_restart
from zc.zkzopeserver.cli.settings import read_running
from zc.zkzopeserver.cli.verbs import Verb
from zc.zkzopeserver.cli.verbs import start
from zc.zkzopeserver.cli.verbs import stop
from zc.zkzopeserver.cli.waiting import Progress
from zc.zkzopeserver.errors import StartError

# How long the processes of a server may take to open their log files anew.
REOPEN_S = 10

# How long to wait between two looks at a rolling restart.
LOOK_S = 0.1

ONE_PROCESS = ('it is one process (workers = 1), which cannot be replaced'
               ' without a gap')


def reload(instance: Instance, arguments: Any = None) -> int:
    """Replace the workers; return once all are replaced and answer."""
    settings = read_running(instance)
    process, pid = survey.require_running(instance)
    with Providers(settings.ours) as providers, \
            Progress(instance.name) as progress:
        if is_single(settings, pid, providers):
            return restart_single(settings, process, progress)
        Reload(settings, pid, providers, progress).run()
    return 0


def is_single(settings: InstanceSettings, pid: int,
              providers: Providers) -> bool:
    """Return whether the process serves, and is no parent of workers.

    Its ini may have been changed since it was started, so that its own node
    decides; only without nodes it is the ini.
    """
    result = survey.survey(settings, providers.nodes())
    return (pid in result.registered
            or settings.workers == 1 and not result.registered)


def restart_single(settings: InstanceSettings, process: survey.ServerProcess,
                   progress: Progress) -> int:
    """Restart a single process; StartError if `start` has not started it."""
    if process.manager is None:
        raise StartError(
            f'{ONE_PROCESS}, and it was not started by `start`: restart it'
            ' with what runs it in the foreground (systemd, supervisor)')
    progress.say(f'{ONE_PROCESS}: restarting it instead')
    return stop_and_start(read_for_restart(settings.instance), process,
                          progress)


class Reload:
    """A rolling restart of the parent `pid`, as it is seen from outside."""

    def __init__(self, settings: InstanceSettings, pid: int,
                 providers: Providers, progress: Progress) -> None:
        self._settings = settings
        self._pid = pid
        self._providers = providers
        self._progress = progress
        self._old = set(processes.children(pid))
        self._living = set(self._old)
        self._new: set[int] = set()
        self._answered: dict[str, int] = {}

    def run(self) -> None:
        """Tell the parent to roll, and wait until it has.

        StartError when the parent has given up, or has replaced no worker
        for as long as one start and one stop may take.
        """
        timeout_s = (self._settings.start_timeout_s
                     + self._settings.stop_timeout_s)
        stop.send_server(self._settings.instance, self._pid, signal.SIGHUP)
        deadline, done = time.monotonic() + timeout_s, 0
        while not self._is_over():
            if self._replaced() > done:
                done = self._replaced()
                deadline = time.monotonic() + timeout_s
            if time.monotonic() > deadline:
                self._give_up(f'nothing has changed for {timeout_s:g} s')
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
            # While old workers are left, a new one ends only when the roll
            # has failed.
            if gone := self._new - self._living:
                self._give_up(f'new worker {min(gone)} has ended')
            return False
        result = survey.survey(self._settings, self._providers.nodes(),
                               answered=self._answered)
        self._answered |= result.answered
        return result.is_up

    def _give_up(self, why: str) -> None:
        path = self._settings.instance.transcript
        left = len(self._old & self._living)
        # A server in the foreground has no transcript.
        lines = transcript.last_lines(path) if transcript.size(path) else ()
        raise StartError('\n'.join([
            f'not reloaded: {why}; {left} of {len(self._old)} old workers'
            ' are left', *lines]))


RELOAD = Verb(reload, """\
Replace the workers one by one (SIGHUP), so that clients always find as many
as there should be.  New workers read the ini anew.  Returns when all workers
are replaced, registered and answering.  When a new worker does not come up,
the old workers that are left stay.

With workers = 1 the one process cannot be replaced without a gap.  It is
restarted instead, if `start` has started it.  An ini with wrong options is
refused before anything is done.""", """\
exit status: 0 all workers are replaced; 1 not all could be replaced, or the
server does not run; 2 an option or a file is wrong; 3 ZooKeeper cannot be
reached; else as for `start`.""")


def restart(instance: Instance, arguments: Any = None) -> int:
    """Stop the server, if it runs, and start it; return once it is up."""
    settings = read_for_restart(instance)
    process = survey.find(instance)
    with Progress(instance.name) as progress:
        return stop_and_start(settings, process, progress)


def stop_and_start(settings: InstanceSettings, process: survey.ServerProcess,
                   progress: Progress) -> int:
    """Stop and start the server; return the exit status.

    StartError when it runs and `start` has not started it, or when the
    application cannot be imported: then it goes on running.
    """
    if process.pid is not None and process.manager is None:
        raise StartError(
            f'pid {process.pid} was not started by `start`: restart it with'
            ' what runs it in the foreground (systemd, supervisor), or `stop`'
            ' it first')
    zdaemon.check(settings.instance)
    if process.pid is not None:
        # A server that works is not stopped for one that cannot start.
        Ini(settings.instance).import_application()
    if process.pid is not None or process.manager is not None:
        stop.stop(settings, process, progress)
    return start.start(settings, survey.ServerProcess(), progress)


RESTART = Verb(restart, """\
Stop the server, if it runs, and start it in the background.  An ini with
wrong options, or an application that cannot be imported, is refused before
anything is stopped.  The options that `start`
had on its command line stay, unless they are given anew.""", start.STATUSES,
               starts=True)


def logreopen(instance: Instance, arguments: Any = None) -> int:
    """Have the server and its manager open their log files anew.

    Return 0 once they have, 1 when one has failed or does not answer.
    """
    notified = []
    problems: list[str] = []
    if zdaemon.ask(instance.socket, 'reopen_transcript') is not None:
        notified.append('zdaemon')
        # It does not say what has failed.
        if not os.path.isfile(instance.transcript):
            problems.append(f'zdaemon: the transcript {instance.transcript}'
                            ' is not open again')
    # By the pid file, not by zdaemon: a server that has no pid file yet has
    # no handler of SIGUSR2 either, and would end.
    recorded = pidfile.read(instance.pid_file)
    if recorded and recorded.is_alive and Ini(instance).is_ours:
        is_told, more = have_reopened(instance, recorded.pid)
        problems += more
        if is_told:
            notified.append(f'pid {recorded.pid}')
    print(f'{instance.name}: ' + (
        f'told {" and ".join(notified)}' if notified else 'not running'))
    for problem in problems:
        print(f'{instance.name}: {problem}', file=sys.stderr)
    return 1 if problems else 0


def have_reopened(instance: Instance, pid: int) -> tuple[bool, list[str]]:
    """Tell a server to open its log files; wait until all processes have.

    Return whether it was told, and what has failed.  Where no answers can be
    had, nothing is known to have failed: see `rotation.Answers`.
    """
    waiting = {pid, *(worker.pid for worker in proof.workers(pid))}
    try:
        answers = rotation.Answers(instance.pid_file)
    except OSError:
        return stop.send_server(instance, pid, signal.SIGUSR2), []
    problems = []
    with answers:
        if not stop.send_server(instance, pid, signal.SIGUSR2):
            return False, []
        deadline = time.monotonic() + REOPEN_S
        while waiting and (answer := answers.receive(deadline)):
            sender, failed = answer
            if sender in waiting:
                waiting.remove(sender)
                problems += [f'pid {sender}: {text}' for text in failed]
    return True, problems + [
        f'pid {each} has not said within {REOPEN_S} s that its log files are'
        ' open again: see its log'
        for each in sorted(waiting) if processes.lives(each)]


LOGREOPEN = Verb(logreopen, """\
Open the log files anew, after log rotation has renamed them: the log files of
the server and of its workers (SIGUSR2), and the transcript.  When the server
does not run, there is nothing to do, and that is no error.""", """\
exit status: 0 done, or the server does not run; 1 a file could not be opened,
or another error; 2 the ini is wrong.""")
