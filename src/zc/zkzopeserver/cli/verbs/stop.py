"""``stop``: end the server, however it was started on this machine."""
from __future__ import annotations

import contextlib
import functools
import signal
import sys
import time
from typing import Any

import psutil
from zc.zk.printable import printable

from zc.zkzopeserver.cli import pidfile
from zc.zkzopeserver.cli import processes
from zc.zkzopeserver.cli import proof
from zc.zkzopeserver.cli import survey
from zc.zkzopeserver.cli import zdaemon
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.providers import Providers
from zc.zkzopeserver.cli.settings import InstanceSettings
from zc.zkzopeserver.cli.settings import read_for_stop
from zc.zkzopeserver.cli.verbs import Verb
from zc.zkzopeserver.cli.waiting import Progress
from zc.zkzopeserver.errors import RegistrationError
from zc.zkzopeserver.errors import StartError
from zc.zkzopeserver.options import Options
from zc.zkzopeserver.sessionfile import SessionFile

DESCRIPTION = """\
Stop the server, as SIGTERM does: it removes its nodes and finishes the
requests in flight.  Returns when its processes have ended and its nodes are
gone.  A process that takes longer than deregister_wait and graceful_timeout
allow is killed; when the ini no longer says how long that is, after an hour.
The sessions of processes that were killed are ended, see `forget`.  Ctrl-C
ends the waiting, and not the stop.  While another `stop` is at work, this one
waits with it.  A server in the foreground is stopped as well, but what runs it
there (systemd, supervisor) may start it again."""

STATUSES = """\
exit status: 0 the server is gone, or did not run; 1 it could not be stopped;
2 an option or a file is wrong."""

# How long a killed process may take to end, and a manager that was told to.
END_S = 10.0

# How long to wait between two looks at ZooKeeper.
LOOK_S = 0.1

# How long to wait between two lines about processes that do not end.
TELL_S = 60.0


def run(instance: Instance, arguments: Any = None) -> int:
    """Stop the server and wait until it is gone; return the exit status."""
    settings = read_for_stop(instance)
    with Progress(instance.name) as progress:
        stop(settings, survey.find(instance), progress)
    return 0


def stop(settings: InstanceSettings, process: survey.ServerProcess,
         progress: Progress) -> None:
    """Stop a process and its manager; StartError when they do not end."""
    in_time = end(settings, process, progress)
    if in_time is None:
        progress.say('not running')
    elif in_time:
        progress.say('stopped')
    else:
        progress.say('stopped; it was killed, as it took longer than'
                     f' {settings.stop_timeout_s:g} s')


def end(settings: InstanceSettings, process: survey.ServerProcess,
        progress: Progress) -> bool | None:
    """Stop as `stop` does, and say only what takes time.

    True when the process ended in time, False when it was killed, None when
    there was nothing to stop.
    """
    waited = family(settings.instance, process,
                    settings.is_known and settings.workers == 1)
    if not tell(settings.instance, process):
        pidfile.clear(settings.instance.pid_file)
        return True if end_rest(settings, progress) else None
    progress.tell(f'stopping pid {process.pid}' if process.pid
                  else 'stopping zdaemon')
    in_time = wait_end(settings, waited, progress)
    pidfile.clear(settings.instance.pid_file)
    if process.manager:
        end_manager(settings.instance, process.manager)
    end_rest(settings, progress)
    if settings.options is not None and waited:
        wait_unregistered(settings.instance, settings.options,
                          {each.pid for each in waited}, progress)
    return in_time


def family(instance: Instance, process: survey.ServerProcess,
           is_single: bool) -> list[psutil.Process]:
    """Return the processes to wait for: the server's and its workers.

    The children of a single process are the application's.
    """
    if process.pid is None:
        return []
    server = processes.identify(process.pid)
    if server is None or survey.find(instance).pid != process.pid:
        # It has ended since, and the pid may be another process's.
        return []
    return [server, *([] if is_single else proof.workers(process.pid))]


def tell(instance: Instance, process: survey.ServerProcess) -> bool:
    """Tell the process and its manager to stop; False without either."""
    manager = process.manager
    if (manager and manager.is_stopping
            and process.pid in (None, manager.server)):
        # Another `stop` has told it.  A second signal would end the requests
        # in flight.
        return True
    is_managed = (manager is not None
                  and zdaemon.ask(instance.socket, 'stop') is not None)
    if process.pid is None or (manager is not None and is_managed
                               and manager.server == process.pid):
        return is_managed
    return send_server(instance, process.pid, signal.SIGTERM) or is_managed


def send_server(instance: Instance, pid: int, number: signal.Signals) -> bool:
    """Send a signal to the server; return False when it is gone.

    The proof that it is the server is that of `survey.find`, found anew.
    StartError when it is another user's.
    """
    return processes.send(pid, number,
                          lambda: survey.find(instance).pid == pid)


def end_manager(instance: Instance, manager: zdaemon.Manager) -> None:
    """Wait for a manager's end; StartError when it does not come."""
    process = processes.identify(manager.pid)
    if (not zdaemon.wait_gone(instance.socket, END_S)
            or process is not None and processes.wait_end([process], END_S)):
        raise StartError(f'zdaemon {manager.pid} has not ended')


def wait_end(settings: InstanceSettings, waited: list[psutil.Process],
             progress: Progress) -> bool:
    """Wait until the processes have ended; kill those that are late.

    Return whether all have ended in time.  StartError when one cannot be
    killed.
    """
    left = wait_in_time(waited, settings.stop_timeout_s, progress)
    if not left:
        return True
    progress.tell(f'killing {joined(left)}')
    for process in left:
        # It was ours when the stop began; it still is when it is the same.
        processes.send(process.pid, signal.SIGKILL,
                       functools.partial(processes.is_same, process))
    if left := processes.wait_end(left, END_S):
        raise StartError(f'pid {left[0].pid} cannot be killed')
    return False


def wait_in_time(waited: list[psutil.Process], timeout_s: float,
                 progress: Progress) -> list[psutil.Process]:
    """Wait until the processes have ended; return those that have not.

    Every TELL_S seconds it says what it waits for.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        left_s = max(deadline - time.monotonic(), 0)
        waited = processes.wait_end(waited, min(TELL_S, left_s))
        left_s = deadline - time.monotonic()
        if not waited or left_s <= 0:
            return waited
        progress.say(f'waiting for {joined(waited)}, at most {left_s:.0f} s'
                     ' more; Ctrl-C ends the waiting alone')


def end_rest(settings: InstanceSettings, progress: Progress) -> bool:
    """End what the server has left: workers without a parent, and sessions.

    Return whether there were such workers.  StartError when they do not end.
    """
    file = SessionFile(settings.instance.session_file)
    had_workers = False
    try:
        done = file.forget()
        ended = done.ended
        if done.living and not is_served(settings.instance):
            had_workers = True
            progress.tell('stopping workers without a parent')
            # The kernel says who has a slot: no stranger has.
            wait_end(settings, [each for each in map(
                processes.identify, file.dismiss_orphans())
                if each is not None], progress)
            done = file.forget()
            ended += done.ended
    finally:
        file.close()
    for key in ended:
        progress.say(f'ended {key}')
    for problem in done.problems:
        progress.say(problem)
    return had_workers


def is_served(instance: Instance) -> bool:
    """Return whether a process has the pid file, such as a new server."""
    recorded = pidfile.read(instance.pid_file)
    return recorded is not None and recorded.is_alive


def joined(waited: list[psutil.Process]) -> str:
    """Return the pids of processes as a message lists them."""
    return ', '.join(f'pid {each.pid}' for each in waited)


def wait_unregistered(instance: Instance, options: Options, pids: set[int],
                      progress: Progress) -> None:
    """Wait until the processes have no nodes in ZooKeeper any more.

    The nodes of a killed process stay until its session times out; StartError
    when they stay longer.  When ZooKeeper cannot be asked, that is printed.
    """
    deadline = time.monotonic() + options.session_timeout_s + END_S
    try:
        with Providers(options) as providers:
            while left := [node.name for node in providers.nodes()
                           if node.pid in pids and node.address
                           and processes.is_here(node.address[0])]:
                if time.monotonic() > deadline:
                    raise StartError('still registered: '
                                     + ', '.join(map(printable, left)))
                progress.tell('waiting until its session times out')
                time.sleep(LOOK_S)
    except RegistrationError as error:
        with contextlib.suppress(BrokenPipeError):
            print(f'{instance.name}: not known whether its node is gone:'
                  f' {error}', file=sys.stderr)


STOP = Verb(run, DESCRIPTION, STATUSES)
