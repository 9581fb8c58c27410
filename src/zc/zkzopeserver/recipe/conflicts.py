"""What the parts of a buildout must not share: files, sockets, addresses.

All parts of a run are compared, as sections share options by ``<=``.
"""
from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from collections.abc import Iterator

from zc.zkzopeserver.recipe.server import ServerInstance

# Path -> name of the part that writes it in this run of buildout.
_claimed: dict[str, str] = {}


@dataclasses.dataclass(frozen=True)
class Use:
    """Something that a running server uses: a path, or an address.

    `what` says for what.  A log may be shared by the servers of a part, and
    by other parts that do not rotate it: `is_log`, `is_rotated`.
    """

    part: str
    server: str
    what: str
    is_log: bool = False
    is_rotated: bool = False


_used: dict[str, Use] = {}


def claim(name: str, paths: Iterable[str]) -> Iterator[str]:
    """Note the paths that a part writes.

    Yield a problem for each path that another part writes.
    """
    for path in paths:
        other = _claimed.setdefault(path, name)
        if other != name:
            yield f'the part {other!r} writes {path} too'


def is_claimed(path: str) -> bool:
    """Return whether a part of this run writes the path."""
    return path in _claimed


def shared(part: str, servers: Iterable[ServerInstance]) -> Iterator[str]:
    """Note what the servers of a part use when they run.

    Yield a problem for each file, socket or address that another server uses,
    or the same server for something else.
    """
    for server in servers:
        for key, use in _uses(part, server):
            other = _used.setdefault(key, use)
            if other != use and not _may_share(other, use):
                yield _problem(key, other, use)


def _may_share(one: Use, other: Use) -> bool:
    if not one.is_log or not other.is_log:
        return False
    return one.part == other.part or not (one.is_rotated or other.is_rotated)


def _problem(key: str, one: Use, other: Use) -> str:
    value = key.rpartition(' ')[2]
    if one.part == other.part and one.server == other.server:
        return f'{value} would be {one.what} and {other.what}'
    same = (f'the same {one.what}, {value}' if one.what == other.what else
            f'the same {value}, as {one.what} and as {other.what}')
    if one.is_log and other.is_log:
        same += (': logrotate refuses a log with two entries, and one of the'
                 ' servers would write on into the old file')
    if one.part == other.part:
        return f'instances {one.server!r} and {other.server!r} have {same}'
    return f'the parts {one.part!r} and {other.part!r} have {same}'


def _uses(part: str, server: ServerInstance) -> Iterator[tuple[str, Use]]:
    """Yield (path or address, what it is used for)."""
    place = server.layout
    for path, what in (
            (place.run_file(server.name, 'pid'), 'pid file'),
            (place.run_file(server.name, 'sock'), "zdaemon's socket"),
            (place.transcript(server.name), "transcript of `start`")):
        yield os.path.normpath(path), Use(part, server.name, what)
    for path in server.logs:
        yield os.path.normpath(path), Use(
            part, server.name, 'log', True, bool(server.values['logrotate']))
    for path in server.sockets:
        yield os.path.normpath(path), Use(part, server.name,
                                          "'monitor_server'")
    for option in 'port', 'monitor_server', 'metrics':
        value = server.options.get(option, '').strip()
        if (value and value.rpartition(':')[2] != '0'
                and '/' not in value):
            host = (server.options.get('host', '').strip()
                    if option == 'port' else '')
            yield f'{option} {host} {value}', Use(part, server.name,
                                                  repr(option))
