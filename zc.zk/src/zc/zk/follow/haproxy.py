"""HAProxy's admin socket: add and remove servers without a reload.

Sources: Management Guide of HAProxy 2.6, section 9.3, "Unix Socket commands"
(add server, del server, set server, enable health, show servers state). The
socket needs ``level admin``.

A removed server is put into maintenance, where requests in flight finish, and
deleted when it has no connection any more. All servers of the backend belong
to us. One that somebody else has put into maintenance stays in it: ours have
the weight 0 as well, by which another process knows them that comes after us.
"""
from __future__ import annotations

import logging
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from zc.zk.follow.formats.haproxy import HAProxy
from zc.zk.follow.upstream import Target
from zc.zk.follow.upstream import Upstream
from zc.zk.printable import printable

logger = logging.getLogger('zc.zk.follow')

#: The time that HAProxy has for one answer.
TIMEOUT_S = 5.0

#: The longest answer that is read.
MAX_BYTES = 2 ** 26

#: The version of the table of ``show servers state``.
STATE_VERSION = '1'

#: Bits of ``srv_admin_state``: maintenance by the socket.
FORCED_MAINTENANCE = 0x01

_is_address = re.compile(r'(?P<host>[^/]*):(?P<port>[0-9]+)').fullmatch

_pids = re.compile('^Pid: ([0-9]+)', re.MULTILINE).findall


class Refused(Exception):
    """HAProxy refuses a command; the text is its answer."""


class AdminSocket:
    """A client of the admin socket, a connection for each command.

    `where` is the path of a unix socket, or HOST:PORT. Methods raise OSError
    when HAProxy cannot be reached.
    """

    def __init__(self, where: str) -> None:
        self._where = where

    def ask(self, command: str) -> str:
        """Send a line of commands; return the answer without blanks around.

        Raises ValueError for a command with a line end. A ``;`` separates
        commands: whatever stands in them is checked before.
        """
        if '\n' in command:
            raise ValueError('a command is one line')
        with self._connect() as sock:
            sock.sendall(command.encode('ascii') + b'\n')
            answer = bytearray()
            try:
                while data := sock.recv(2 ** 16):
                    answer += data
                    if len(answer) > MAX_BYTES:
                        raise OSError('the answer of HAProxy is too long')
            except ConnectionResetError:
                # HAProxy ends a connection so after some errors, which it
                # has told before.
                if not answer:
                    raise
        return answer.decode('utf-8', 'replace').strip()

    def find(self) -> frozenset[tuple[int, float]]:
        """Return (process id, 0) of the process that answers, if one does.

        After a reload it is another one.
        """
        try:
            answer = self.ask('show info')
        except OSError:
            return frozenset()
        return frozenset((int(pid), 0.0) for pid in _pids(answer))

    def do(self, command: str, expected: str = '') -> None:
        """Send a command; raise Refused for another answer than expected."""
        answer = self.ask(command)
        if answer != expected:
            raise Refused(printable(answer, 200) or 'no answer')

    def _connect(self) -> socket.socket:
        match = _is_address(self._where)
        if match and not self._where.startswith('/'):
            return socket.create_connection(
                (match['host'].strip('[]'), int(match['port'])), TIMEOUT_S)
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(TIMEOUT_S)
        try:
            sock.connect(self._where)
        except BaseException:
            sock.close()
            raise
        return sock


@dataclass(frozen=True)
class State:
    """What ``show servers state`` tells of a server."""

    name: str
    address: str
    port: str
    weight: str
    admin: int

    @property
    def is_leaving(self) -> bool:
        """Whether we have put it into maintenance, to delete it."""
        return self.weight == '0' and bool(self.admin & FORCED_MAINTENANCE)


class Backends:
    """The servers that a running HAProxy has, and is to have.

    `pending` has the servers that leave and still have connections.
    """

    def __init__(self, admin: AdminSocket, options: HAProxy) -> None:
        self._admin = admin
        self._options = options
        self.pending: set[tuple[str, str]] = set()

    def reconcile(self, upstream: Upstream) -> list[str]:
        """Make a backend have the targets of an upstream; return changes.

        A change is ``+ADDRESS`` or ``-ADDRESS``. Raises Refused when HAProxy
        refuses a server, and has to be reloaded; OSError when it cannot be
        reached.
        """
        present = {state.name: state for state in self._states(upstream.name)}
        changes = []
        wanted = {target.identifier: target for target in upstream.targets}
        for name, target in wanted.items():
            if name not in present:
                self._add(upstream.name, target)
                changes.append(f'+{target.address}')
            else:
                changes += self._update(upstream.name, target, present[name])
        for name in present.keys() - wanted.keys():
            changes += self._remove(upstream.name, present[name])
        return changes

    def _states(self, backend: str) -> Iterator[State]:
        lines = self._admin.ask(f'show servers state {backend}').splitlines()
        if not lines or lines[0].strip() != STATE_VERSION:
            raise Refused(printable(' '.join(lines), 200) or 'no answer')
        columns = lines[1].lstrip('# ').split()
        for line in lines[2:]:
            row = dict(zip(columns, line.split(), strict=False))
            yield State(row['srv_name'], row['srv_addr'], row['srv_port'],
                        row['srv_uweight'], int(row['srv_admin_state']))

    def _add(self, backend: str, target: Target) -> None:
        server = f'{backend}/{target.identifier}'
        answer = self._admin.ask(
            f'add server {server} {target.address} '
            + self._options.server_options(target))
        if 'registered' not in answer:
            raise Refused(printable(answer, 200) or 'no answer')
        self.pending.discard((backend, target.identifier))
        commands = [f'set server {server} state ready']
        if self._options.has_check:
            commands.insert(0, f'enable health {server}')
        self._admin.do('; '.join(commands))

    def _update(self, backend: str, target: Target,
                state: State) -> Iterator[str]:
        server = f'{backend}/{target.identifier}'
        weight = f'set server {server} weight {target.weight}'
        if state.is_leaving:
            # It came back before its last connection had ended.
            self._admin.do(f'{weight}; set server {server} state ready')
            self.pending.discard((backend, target.identifier))
            yield f'+{target.address}'
        elif state.weight != str(target.weight):
            self._admin.do(weight)
            yield f'={target.address}'

    def _remove(self, backend: str, state: State) -> Iterator[str]:
        server = f'{backend}/{state.name}'
        if not state.is_leaving:
            self._admin.do(f'set server {server} weight 0; '
                           f'set server {server} state maint')
            yield f'-{state.name}'
        self.pending.add((backend, state.name))
        self._delete(backend, state.name)

    def _delete(self, backend: str, name: str) -> None:
        answer = self._admin.ask(f'del server {backend}/{name}')
        if 'deleted' in answer or 'No such server' in answer:
            self.pending.discard((backend, name))
        else:
            logger.debug('%s/%s stays for now: %s', backend, name,
                         printable(answer, 200))
