"""Runs a case against a server."""
from __future__ import annotations

import dataclasses
import socket
import time

from zope_server_support.corpus.application import Recorder
from zope_server_support.corpus.case import CLOSED
from zope_server_support.corpus.case import OPEN
from zope_server_support.corpus.case import RESET
from zope_server_support.corpus.case import Case
from zope_server_support.corpus.case import get

PROBE = get(target=b'/probe')
# Seconds between two pieces, so that they arrive as such.
GAP = 0.002


@dataclasses.dataclass
class Response:
    """A response, as it was found in the output."""

    status: int
    fields: dict[str, str]
    body: bytes
    is_complete: bool


@dataclasses.dataclass
class Outcome:
    """What came of a case."""

    responses: list[Response]
    ends: str
    raw: bytes
    rest: bytes
    port: int

    @property
    def statuses(self) -> tuple[int, ...]:
        """The statuses of the responses."""
        return tuple(response.status for response in self.responses)


def read_responses(raw: bytes, heads: set[int],
                   is_over: bool) -> tuple[list[Response], bytes]:
    """Return the responses in the output, and what is left of it.

    `heads` has the numbers of those that answer HEAD, 100 not counted.
    """
    found: list[Response] = []
    final = 0
    while (one := read_response(raw, final in heads, is_over)) is not None:
        response, raw = one
        found.append(response)
        if not response.is_complete:
            break
        final += response.status != 100
    return found, raw


def read_response(raw: bytes, is_head: bool,
                  is_over: bool) -> tuple[Response, bytes] | None:
    """Return the first response, and what is left.

    None if its head is not complete.
    """
    head, empty, raw = raw.partition(b'\r\n\r\n')
    if not empty:
        return None
    first, *lines = head.split(b'\r\n')
    status = int(first.split()[1])
    fields = {}
    for line in lines:
        name, _, value = line.decode('latin-1').partition(': ')
        fields[name.lower()] = value
    body, raw, is_complete = read_body(raw, status, fields, is_head, is_over)
    return Response(status, fields, body, is_complete), raw


def read_body(raw: bytes, status: int, fields: dict[str, str], is_head: bool,
              is_over: bool) -> tuple[bytes, bytes, bool]:
    """Return the body, what is left, and whether the body is complete."""
    if is_head or status in (100, 204, 304):
        return b'', raw, True
    if 'transfer-encoding' in fields:
        return read_chunks(raw)
    if 'content-length' in fields:
        length = int(fields['content-length'])
        return raw[:length], raw[length:], len(raw) >= length
    return raw, b'', is_over


def read_chunks(raw: bytes) -> tuple[bytes, bytes, bool]:
    """Return a chunked body, what is left, and whether it is complete."""
    body = b''
    while b'\r\n' in raw:
        line, _, rest = raw.partition(b'\r\n')
        size = int(line, 16)
        if len(rest) < size + 2:
            break
        if rest[size:size + 2] != b'\r\n':
            raise ValueError(f'a chunk is not as long as it says: {raw[:99]}')
        if not size:
            return body, rest[2:], True
        body, raw = body + rest[:size], rest[size + 2:]
    return body, b'', False


def run(case: Case, address: tuple[str, int], recorder: Recorder,
        timeout: float = 10, is_patient: bool = True) -> Outcome:
    """Run a case; raise TimeoutError when too little comes.

    Without patience, a silence of `timeout` seconds ends the case instead,
    as for a server whose answers are not known beforehand.
    """
    with socket.create_connection(address, timeout=timeout) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        recorder.forget(sock.getsockname()[1])
        return Run(case, sock, is_patient).outcome()


class Run:
    """One run of a case."""

    def __init__(self, case: Case, sock: socket.socket,
                 is_patient: bool) -> None:
        self._case = case
        self._sock = sock
        self._is_patient = is_patient
        self._raw = b''
        self._end = ''
        self._heads = {number for number, seen in enumerate(case.seen)
                       if seen.startswith('HEAD ')}

    def outcome(self) -> Outcome:
        """Send, read, and return what came of it and of the connection."""
        port = self._sock.getsockname()[1]
        self._send()
        expected = len(self._case.statuses)
        if self._is_patient and self._case.ends == OPEN:
            self._read_until(expected)
        else:
            self._read_until(None)
        raw = self._raw
        responses, rest = read_responses(raw, self._heads,
                                         self._end in (CLOSED, RESET))
        if not self._end:
            self._end = self._probe(len(responses))
        return Outcome(responses, self._end, raw, rest, port)

    def _send(self) -> None:
        expects = 100 in self._case.statuses
        for number, piece in enumerate(self._case.send):
            if number:
                if expects:
                    self._read_until(1)
                time.sleep(GAP)
            try:
                self._sock.sendall(piece)
            except OSError:
                # The server has said all it has to say.
                return
        if self._case.half_close:
            self._sock.shutdown(socket.SHUT_WR)

    def _read_until(self, count: int | None) -> None:
        """Read `count` responses, or to the end if it is None."""
        while not self._end:
            if count is not None:
                found, _ = read_responses(self._raw, self._heads, False)
                if sum(one.is_complete for one in found) >= count:
                    return
            try:
                data = self._sock.recv(65536)
            except ConnectionError:
                self._end = RESET
            except TimeoutError:
                if self._is_patient:
                    raise TimeoutError(
                        f'{self._case.name}: {self._raw[-300:]!r}') from None
                return
            else:
                self._raw += data
                if not data:
                    self._end = CLOSED

    def _probe(self, count: int) -> str:
        """Send another request; return OPEN if the answer is the next."""
        try:
            self._sock.sendall(PROBE)
        except OSError:
            return CLOSED
        self._read_until(count + 1)
        if self._end:
            return self._end
        found, _ = read_responses(self._raw, self._heads, False)
        return OPEN if [one.status for one in found[count:]] == [
            200] else 'out of step'


def differences(case: Case, outcome: Outcome, recorder: Recorder) -> list[str]:
    """Return what is not as the case wants it."""
    found = []
    seen = recorder.seen(outcome.port)
    if seen and seen[-1] == 'GET /probe':
        seen.pop()
    for what, actual, wanted in (
            ('statuses', outcome.statuses, case.statuses),
            ('seen', tuple(seen), case.seen),
            ('end', outcome.ends, case.ends),
            ('rest', outcome.rest, b'')):
        if actual != wanted:
            found.append(f'{what} {actual!r:.200}, not {wanted!r:.200}')
    for piece in case.has:
        if piece not in outcome.raw:
            found.append(f'lacks {piece!r}')
    for piece in case.lacks:
        if piece in outcome.raw:
            found.append(f'has {piece!r}')
    bodies = tuple(response.body for response in outcome.responses)
    if case.bodies is not None and bodies != case.bodies:
        found.append(f'bodies {bodies!r:.200}, not {case.bodies!r}')
    if outcome.responses and case.is_cut and case.ends != RESET:
        if outcome.responses[-1].is_complete:
            found.append('is not cut')
    if seen:
        environ = recorder.environs[str(outcome.port)][0]
        for key, value in case.environ.items():
            if environ.get(key) != value:
                found.append(f'{key} {environ.get(key)!r}, not {value!r}')
    return found
