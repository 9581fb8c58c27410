"""``start``: serve in the background, by zdaemon."""
from __future__ import annotations

from typing import Any

from zc.zk.printable import printable

from zc.zkzopeserver.cli import survey
from zc.zkzopeserver.cli import transcript
from zc.zkzopeserver.cli import zdaemon
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.settings import InstanceSettings
from zc.zkzopeserver.cli.settings import read_running
from zc.zkzopeserver.cli.settings import read_settings
from zc.zkzopeserver.cli.verbs import Verb
from zc.zkzopeserver.cli.verbs import stop
from zc.zkzopeserver.cli.waiting import Ended
from zc.zkzopeserver.cli.waiting import Progress
from zc.zkzopeserver.cli.waiting import StartWait
from zc.zkzopeserver.errors import StartError

DESCRIPTION = """\
Serve in the background, by zdaemon.  Returns when the node of each worker is
in ZooKeeper and its address answers.  When the server ends before, it is not
started again, and its last lines are shown.  When it takes longer than
start-timeout, it goes on starting.  When it runs already, it is not started,
but waited for in the same way.

A server that dies later is started again after 1, 2, ... 10 seconds, unless it
ends with status 0 or 2."""

STATUSES = """\
exit status: 0 the server is registered and answers; 1 it has ended, for a
reason not listed here; 2 an option, an address or a file is wrong; 3
ZooKeeper cannot be reached, or the path is not there; 4 the server is not up
in time; 5 its workers died again and again."""


def run(instance: Instance, arguments: Any = None) -> int:
    """Start the server, unless it runs; return once it is up."""
    process = survey.find(instance)
    with Progress(instance.name) as progress:
        if process.pid is None:
            return start(read_settings(instance), process, progress)
        if instance.overrides:
            progress.say('it runs already: -o has no effect without a'
                         ' restart')
            instance.overrides = {}
        return start(read_running(instance), process, progress)


def start(settings: InstanceSettings, process: survey.ServerProcess,
          progress: Progress) -> int:
    """Start the server, unless `process` is it, and wait until it is up.

    Return the exit status.  Failed when the server has ended instead; see
    also `StartWait.wait`.
    """
    instance = settings.instance
    if process.pid is not None:
        progress.say(f'already running, pid {process.pid}')
    elif process.manager is not None:
        # The server has died, and this zdaemon would start it as it was.
        stop.end(settings, process, progress)
    waiting = StartWait(settings, progress,
                        transcript.size(instance.transcript))
    is_launched = process.pid is None and zdaemon.launch(
        instance, settings.stop_timeout_s)
    if process.pid is None and not is_launched:
        progress.say('another start is at work')
    try:
        result = waiting.wait()
    except Ended:
        if is_launched:
            stop_rest(settings, progress)
        raise failure(instance, waiting.offset) from None
    except KeyboardInterrupt:
        progress.say('it goes on starting: see `status`, or `stop` it')
        raise
    progress.say(up(result))
    return 0


def up(result: survey.Survey) -> str:
    """Return the message for a server that is up."""
    pid = result.process.pid
    if result.problem:
        return (f'serving, pid {pid}; it registers as soon as it can:'
                f' {result.problem}')
    count = len(result.registered)
    where = ', '.join(printable(each.node.name) for each in
                      result.of(survey.Owner.OURS)) or 'no known address'
    return (f'up, pid {pid}, at {where}'
            + (f' ({count} workers)' if count > 1 else ''))


def stop_rest(settings: InstanceSettings, progress: Progress) -> None:
    """Stop the manager that a failed start has left."""
    process = survey.find(settings.instance)
    if process.manager is not None:
        stop.end(settings, process, progress)


def failure(instance: Instance, offset: int) -> Failed:
    """Return the error of a failed start.

    Its text and its status are taken from the transcript, from byte `offset`
    on.
    """
    status = transcript.exit_status(instance.transcript, offset)
    if status is None:
        how = 'has ended'
    elif status < 0:
        how = f'was killed by signal {-status}'
    elif status == 0:
        how = 'was stopped'
    else:
        how = f'has ended with status {status}'
    return Failed('\n'.join([
        f'the server {how} before it was up',
        *transcript.last_lines(instance.transcript, offset)]), status)


class Failed(StartError):
    """The server has ended instead of coming up.

    The exit status is that of the server if it is one of 1 to 5, else 1.
    """

    def __init__(self, text: str, status: int | None) -> None:
        super().__init__(text)
        self.exit_status = (status if status is not None and 1 <= status <= 5
                            else 1)


START = Verb(run, DESCRIPTION, STATUSES, starts=True)
