"""``top``: what the workers of a service do, live, by their monitors."""
from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Iterator
from typing import Any

from zc.zk.live.columns import begin
from zc.zk.live.columns import columns
from zc.zk.live.columns import padded
from zc.zk.live.columns import shortened
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
# How often the size of the terminal is looked at.
LOOK_S = 0.1

# Moves to the top of a terminal, and erases what is below the cursor, and to
# the right of it (ECMA-48: CUP, ED, EL).
HOME, ERASE_BELOW, ERASE_RIGHT = '\x1b[H', '\x1b[J', '\x1b[K'

HEAD = ('ADDRESS', 'PID', 'STATE', 'REQ/S', 'IN FLIGHT', 'WAITING', 'BUSY',
        'CONNECTIONS', 'UPTIME')
# A terminal that is too narrow has the table without these, one after the
# other, rather than each line without its end.
DISPENSABLE = 'PID', 'UPTIME', 'CONNECTIONS'
# These, too, once addresses are short.
DISPENSABLE_LAST = 'IN FLIGHT', 'WAITING', 'REQ/S'
# The characters that a long address is shortened to: those of most, and fewer
# only where nothing else can go.
ADDRESS_IPV4 = len('255.255.255.255:65535')
ADDRESS_LEAST = 12

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
                    line + ERASE_RIGHT + '\n'
                    for line in fitted(lines, width - 1, height - 1))
                    + ERASE_BELOW, end='', flush=True, file=terminal)
            else:
                print('\n'.join(lines), flush=True)
            if arguments.once:
                return 0
            pause(arguments.interval, (width, height) if is_terminal else None)


def pause(seconds: float, size: tuple[int, int] | None) -> None:
    """Wait; not longer than until the terminal has another size."""
    ends_at = time.monotonic() + seconds
    while (rest_s := ends_at - time.monotonic()) > 0:
        if size not in (None, shutil.get_terminal_size()):
            return
        time.sleep(min(rest_s, LOOK_S) if size else rest_s)


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

    What `width` has no room for is left out, see `fit`.
    """
    now = time.monotonic()
    yield (f'{name}: {len(answers)} worker{"s" * (len(answers) != 1)},'
           f' {time.strftime("%H:%M:%S")}'
           + (f'; ZooKeeper: {trouble}' if trouble else ''))
    rows = [HEAD, *(row(address, answer, rates, now)
                    for address, answer in sorted(answers.items()))]
    # Why a worker does not answer may be long, and goes on to the right.
    widths = {head: max(columns(cells[column]) for cells in rows
                        if column == 0 or len(cells) > 2)
              for column, head in enumerate(HEAD)}
    if width is not None:
        fit(widths, width)
    for cells in rows:
        cells = shortened(cells[0], widths[HEAD[0]]), *cells[1:]
        if len(cells) == 2:
            yield f'{padded(cells[0], widths[HEAD[0]])}  {cells[1]}'
            continue
        yield '  '.join(
            padded(cell, widths[head], right=3 <= column <= 7)
            for column, (cell, head) in enumerate(
                zip(cells, HEAD, strict=True)) if head in widths).rstrip()


def fit(widths: dict[str, int], width: int) -> None:
    """Make columns fit into `width`, as far as they can.

    First DISPENSABLE go, then what an address has beyond one of IPv4, then
    DISPENSABLE_LAST, and at last more of addresses.
    """
    def too_wide() -> int:
        return sum(widths.values()) + 2 * len(widths) - 2 - width

    address = HEAD[0]
    for dispensable, least in ((DISPENSABLE, ADDRESS_IPV4),
                               (DISPENSABLE_LAST, ADDRESS_LEAST)):
        for head in dispensable:
            if too_wide() > 0:
                del widths[head]
        widths[address] = min(widths[address], max(
            least, widths[address] - max(0, too_wide())))


def fitted(lines: list[str], width: int, height: int) -> list[str]:
    """Return lines for a terminal; the last says how many have no room."""
    left_out = len(lines) - height
    if left_out > 0 and height > 1:
        lines = lines[:height - 1] + [f'{left_out + 1} more have no room here']
    return [line if columns(line) <= width else f'{begin(line, width - 3)}...'
            for line in lines[:height]]


def row(address: str, answer: Answer, rates: Rates,
        now: float) -> tuple[str, ...]:
    """Return the cells of a worker.

    Of one that does not answer these are its address, and why.
    """
    if isinstance(answer, str):
        return printable(address), answer
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
