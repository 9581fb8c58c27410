"""``start``: serve in the background."""
from __future__ import annotations

import os
from typing import Any

from zc.zkzopeserver.cli import processes
from zc.zkzopeserver.cli import survey
from zc.zkzopeserver.cli import transcript
from zc.zkzopeserver.cli import zdaemon
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.settings import InstanceSettings
from zc.zkzopeserver.cli.verbs import Verb
from zc.zkzopeserver.cli.verbs import stop as stopping
from zc.zkzopeserver.cli.waiting import Ended
from zc.zkzopeserver.cli.waiting import Progress
from zc.zkzopeserver.cli.waiting import StartWait
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


def run(instance: Instance, arguments: Any = None) -> int:
    """Start the server, unless it runs, and wait until it is up."""
    enter(instance)
    process = survey.find(instance)
    with Progress(instance.name) as progress:
        if process.pid is not None and instance.overrides:
            progress.say('it runs already: -o has no effect without a'
                         ' restart')
            instance.overrides = {}
        settings = (InstanceSettings(instance) if process.pid is None
                    else InstanceSettings.of_running(instance))
        return start(settings, process, progress)


def enter(instance: Instance) -> None:
    """Be who the server runs as, with the directories of its files."""
    processes.become(
        instance.user, tuple({os.path.dirname(path) for path in (
            instance.pid_file, instance.socket, instance.transcript)}),
        required=True)


def start(settings: InstanceSettings, process: survey.ServerProcess,
          progress: Progress) -> int:
    """Start the server if it is not that `process`; wait until it is up."""
    instance = settings.instance
    if process.pid is not None:
        progress.say(f'already running, pid {process.pid}')
    elif process.manager is not None:
        # It has died; zdaemon would start it again as it was.
        stopping.end(settings, process, progress)
    waiting = StartWait(settings, progress,
                        transcript.size(instance.transcript))
    is_launched = process.pid is None and zdaemon.launch(
        instance, settings.stop_timeout_s)
    if process.pid is None and not is_launched:
        progress.say('another start is at work')
    try:
        found = waiting.wait()
    except Ended:
        if is_launched:
            give_up(settings, progress)
        raise failure(instance, waiting.offset) from None
    except KeyboardInterrupt:
        progress.say('it goes on starting: see `status`, or `stop` it')
        raise
    progress.say(up(found))
    return 0


def up(found: survey.Survey) -> str:
    """What to say of a server that is up."""
    if found.problem:
        return (f'serving, pid {found.process.pid}; it registers as soon as'
                f' it can: {found.problem}')
    count = len(found.registered)
    where = ', '.join(each.node.name for each in
                      found.of(survey.Owner.OURS)) or 'no known address'
    return (f'up, pid {found.process.pid}, at {where}'
            + (f' ({count} workers)' if count > 1 else ''))


def give_up(settings: InstanceSettings, progress: Progress) -> None:
    """Stop what is left of a start that has failed."""
    process = survey.find(settings.instance)
    if process.manager is not None:
        stopping.end(settings, process, progress)


def failure(instance: Instance, offset: int) -> Failed:
    """Why a start has failed, by the transcript from `offset` on."""
    status = transcript.exit_status(instance.transcript, offset)
    how = {None: 'has ended', 0: 'was stopped'}.get(
        status, f'has ended with status {status}')
    if status and status < 0:
        how = f'was killed by signal {-status}'
    return Failed('\n'.join([
        f'the server {how} before it was up',
        *transcript.last_lines(instance.transcript, offset)]), status)


class Failed(StartError):
    """The server has ended with this status instead of coming up."""

    def __init__(self, text: str, status: int | None) -> None:
        super().__init__(text)
        self.exit_status = status if status in range(1, 6) else 1


START = Verb(run, DESCRIPTION, STATUSES)
