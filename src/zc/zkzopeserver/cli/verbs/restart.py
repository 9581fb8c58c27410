"""``restart``: stop the server, if it runs, and start it."""
from __future__ import annotations

from typing import Any

from zc.zkzopeserver.cli import survey
from zc.zkzopeserver.cli import zdaemon as daemon
from zc.zkzopeserver.cli.instance import Place
from zc.zkzopeserver.cli.settings import Settings
from zc.zkzopeserver.cli.verbs import start as starting
from zc.zkzopeserver.cli.verbs import stop as stopping
from zc.zkzopeserver.cli.waiting import Progress
from zc.zkzopeserver.errors import StartError

DESCRIPTION = """\
Stop the server, if it runs, and start it in the background.  An ini with
wrong options is refused before anything is stopped.  What `start` had on its
command line stays, unless it is given anew."""

STATUSES = starting.STATUSES


def run(place: Place, arguments: Any = None) -> int:
    """Stop the server, if it runs, and start it; returns when it is up."""
    starting.enter(place)
    settings = Settings.of_running(place)
    process = survey.find(place)
    with Progress(place.name) as progress:
        return restart(settings, process, progress)


def restart(settings: Settings, process: survey.Process,
            progress: Progress) -> int:
    """Stop and start; StartError for what `start` has not started."""
    if process.pid is not None and process.manager is None:
        raise StartError(
            f'pid {process.pid} was not started by `start`: restart it with'
            ' what runs it in the foreground (systemd, supervisor), or `stop`'
            ' it first')
    daemon.check(settings.place)
    if process.pid is not None or process.manager is not None:
        stopping.stop(settings, process, progress)
    return starting.start(settings, survey.Process(), progress)
