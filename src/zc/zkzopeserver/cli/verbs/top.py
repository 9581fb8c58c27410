"""``top``: what the workers of a service do, live, by their monitors."""
from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Iterator
from typing import Any

from zc.zk.live.text import duration
from zc.zk.printable import printable
from zc.zk.scripts.command import positive_seconds

from zc.zkzopeserver import monitor
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.providers import Providers
from zc.zkzopeserver.cli.settings import read_running
from zc.zkzopeserver.cli.verbs import Verb
from zc.zkzopeserver.cli.verbs.monitor import Target
from zc.zkzopeserver.cli.verbs.monitor import ours
from zc.zkzopeserver.errors import RegistrationError
from zc.zkzopeserver.errors import StartError

DESCRIPTION = """\
Show what each worker does: state, requests a second, requests in flight and
waiting, busy threads, connections.  On a terminal the table is renewed until
Ctrl-C; elsewhere a table follows the other.  The option `monitor_server` has
to be set."""

STATUSES = """\
exit status: 0 with --once; 130 after Ctrl-C; 1 there is no monitor server, or
the server does not run; 2 an option or a file is wrong; 3 ZooKeeper cannot be
reached, or the path is not there."""

INTERVAL_S = 2.0
ANSWER_S = 2.0

# Moves to the top of a terminal, and erases what is below the cursor, and to
# the right of it (ECMA-48: CUP, ED, EL).
HOME, ERASE_BELOW, ERASE_RIGHT = '\x1b[H', '\x1b[J', '\x1b[K'

HEAD = ('ADDRESS', 'PID', 'STATE', 'REQ/S', 'IN FLIGHT', 'WAITING', 'BUSY',
        'CONNECTIONS', 'UPTIME')
# A terminal that is too narrow has the table without these, one after the
# other, rather than each line without its end.
DISPENSABLE = 'PID', 'UPTIME', 'CONNECTIONS'

# What is shown of a worker that does not answer.
UNKNOWN = '-'

# The answer of a monitor server, or why there is none.
Answer = dict[str, Any] | str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `top`."""
    parser.add_argument('--once', action='store_true',
                        help='show one table, and end')
    parser.add_argument('--interval', metavar='SECONDS', type=positive_seconds,
                        default=INTERVAL_S,
                        help=f'between two tables (default: {INTERVAL_S:g})')


def run(instance: Instance, arguments: argparse.Namespace) -> int:
    """Print tables; return the exit status after one, with `--once`."""
    settings = read_running(instance)
    is_terminal = sys.stdout.isatty() and not arguments.once
    # What escape sequences may be written to; the table itself is printable.
    terminal = getattr(sys.stdout, 'terminal', sys.stdout)
    rates = Rates()
    with Providers(settings.ours) as providers:
        targets: list[Target] = []
        while True:
            trouble = ''
            try:
                targets = ours(settings, providers.nodes())
            except RegistrationError as error:
                # With those of the last round it goes on.
                if not targets:
                    raise
                trouble = printable(error)
            answers = {name: ask(address) for name, address in targets}
            width, height = shutil.get_terminal_size()
            lines = list(table(instance.name, answers, rates, trouble,
                               width - 1 if is_terminal else None))
            if is_terminal:
                print(HOME + ''.join(
                    line[:width - 1] + ERASE_RIGHT + '\n'
                    for line in lines[:height - 1]) + ERASE_BELOW, end='',
                    flush=True, file=terminal)
            else:
                print('\n'.join(lines), flush=True)
            if arguments.once:
                return 0
            time.sleep(arguments.interval)


def ask(address: str | tuple[str, int]) -> Answer:
    """Return the status of a worker, or why there is none."""
    try:
        told = json.loads(monitor.ask(address, 'status json', ANSWER_S))
    except StartError as error:
        return printable(error)
    except (ValueError, RecursionError):
        return 'its monitor server does not answer with a status'
    return (told if isinstance(told, dict)
            else 'its monitor server does not answer with a status')


class Rates:
    """Requests a second, of each process, since the last look."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[float, int]] = {}

    def rate(self, pid: int, requests: int, now: float) -> float | None:
        """Return the rate; None at the first look.

        `requests` is the number so far, `now` in seconds.
        """
        before = self._last.get(pid)
        self._last[pid] = now, requests
        if before is None or now <= before[0]:
            return None
        return max(0, requests - before[1]) / (now - before[0])


def table(name: str, answers: dict[str, Answer], rates: Rates,
          trouble: str = '', width: int | None = None) -> Iterator[str]:
    """Yield the lines of a table.

    DISPENSABLE columns are left out as far as `width` has no room for them.
    """
    now = time.monotonic()
    yield (f'{name}: {len(answers)} worker{"s" * (len(answers) != 1)},'
           f' {time.strftime("%H:%M:%S")}'
           + (f'; ZooKeeper: {trouble}' if trouble else ''))
    rows = [HEAD, *(row(address, answer, rates, now)
                    for address, answer in sorted(answers.items()))]
    widths = {head: max(len(cells[column]) for cells in rows)
              for column, head in enumerate(HEAD)}
    for head in DISPENSABLE:
        if width is None or sum(widths.values()) + 2 * len(
                widths) - 2 <= width:
            break
        del widths[head]
    for cells in rows:
        yield '  '.join(
            cell.rjust(widths[head]) if 3 <= column <= 7
            else cell.ljust(widths[head])
            for column, (cell, head) in enumerate(
                zip(cells, HEAD, strict=True)) if head in widths).rstrip()


def row(address: str, answer: Answer, rates: Rates,
        now: float) -> tuple[str, ...]:
    """Return the cells of a worker."""
    if isinstance(answer, str):
        return (printable(address), UNKNOWN, answer,
                *(UNKNOWN for _ in HEAD[3:]))
    pid, requests = number(answer, 'pid'), number(answer, 'requests')
    rate = (None if pid is None or requests is None
            else rates.rate(pid, requests, now))
    uptime = answer.get('uptime')
    busy, threads = number(answer, 'busy_threads'), number(answer, 'threads')
    return (printable(address), cell(pid),
            printable(answer.get('state', UNKNOWN), 40),
            UNKNOWN if rate is None else f'{rate:.1f}',
            cell(number(answer, 'in_flight')), cell(number(answer, 'queued')),
            UNKNOWN if None in (busy, threads) else f'{busy}/{threads}',
            cell(number(answer, 'connections')),
            duration(uptime) if isinstance(uptime, int | float)
            and 0 <= uptime < 1e10 else UNKNOWN)


def number(answer: dict[str, Any], name: str) -> int | None:
    """Return a count that a monitor server has told; None for others."""
    value = answer.get(name)
    return value if type(value) is int and 0 <= value < 2 ** 63 else None


def cell(count: int | None) -> str:
    """Return a count as it is shown."""
    return UNKNOWN if count is None else str(count)


TOP = Verb(run, DESCRIPTION, STATUSES, add_arguments)
