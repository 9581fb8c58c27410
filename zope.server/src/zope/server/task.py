"""A request, and the application that answers it."""
from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from time import monotonic
from typing import Any

from zope.server.errors import Disconnected
from zope.server.errors import ResponseError
from zope.server.files import FileWrapper
from zope.server.form import mypyc_attr
from zope.server.gather import GATHERED_BYTES
from zope.server.gather import Gatherer
from zope.server.headers import check_headers
from zope.server.headers import check_status
from zope.server.headers import short_repr
from zope.server.headers import statuses
from zope.server.response import Writer

logger = logging.getLogger('zope.server.requests')

# Reading a body of at least this size has a grace of COPY_S_PER_BYTE, and of
# MOST_GRACE_S at most.
LARGE_BYTES = 65536
COPY_S_PER_BYTE = 2e-10
MOST_GRACE_S = 500e-6
# A list of blocks up to this size is sent as one, with its Content-Length.
JOINED_LIST_BYTES = 2 ** 20
JOINED_BLOCKS = 128
FAILED = b'The server has met an error and cannot answer.\n'
FAILED_HEADERS = [('Content-Type', 'text/plain; charset=utf-8')]


def as_bytes(data: Any) -> bytes:
    """Return a copy of a bytearray or memoryview, which can still change.

    Raise ResponseError for anything else.
    """
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise ResponseError(f'the body must be bytes, not {short_repr(data)}')


def joined(blocks: Sequence[Any]) -> bytes | None:
    """Return the blocks as one, or None if that is too large.

    They are joined JOINED_BLOCKS at a time: to add up their sizes would take
    longer.  Raise ResponseError if a block is no bytes.
    """
    parts: list[bytes] = []
    size = 0
    try:
        for start in range(0, len(blocks), JOINED_BLOCKS):
            if size > JOINED_LIST_BYTES:
                return None
            part = b''.join(blocks[start:start + JOINED_BLOCKS])
            size += len(part)
            parts.append(part)
    except TypeError:
        for block in blocks:
            as_bytes(block)
        raise
    return b''.join(parts)


@mypyc_attr(allow_interpreted_subclasses=True)
class Task(Writer):
    """A request that is answered by `run`, then `finish`.

    A thread of the pool calls both in turn; where `run` returns false, it
    calls `finish` only when the file is sent.  `began` is when the request
    was complete, as of time.monotonic(); while `is_running` a thread is at
    work on it.
    """

    began = 0.0
    is_running = False
    # No more can be written.  It is set before the end of the response goes.
    is_over = False
    _result: Any = None
    _gatherer: Gatherer | None = None

    @property
    def grace(self) -> float:
        """Seconds that reading a large body may take, not counted as work."""
        store = self.store
        if store is None or store.size < LARGE_BYTES:
            return 0.0
        return min(store.size * COPY_S_PER_BYTE, MOST_GRACE_S)

    def run(self) -> bool:
        """Call the application; return false if a file is still being sent."""
        trace = self.trace
        if trace is not None:
            trace.application_begins()
        try:
            self._result = result = self.shared.application(
                self.environ, self.start_response)
            if trace is not None:
                trace.application_ends(self.code, self.length)
            self._answer(result)
        except Disconnected as error:
            self._abandon(error)
        except BaseException as error:
            # Anything, SystemExit too, ends the request but not the thread.
            logger.exception('%s: the application failed', self)
            self._fail(error)
        self.is_over = True
        return not (type(self._result) is FileWrapper
                    and self.sink.is_sending())

    def finish(self) -> float:
        """Close what the application has returned, and the request's body.

        Return when that was done, as of time.monotonic().
        """
        result, self._result = self._result, None
        if type(result) is not list and hasattr(result, 'close'):
            try:
                result.close()
            except BaseException:
                logger.exception('%s: close() of the response failed', self)
        if self.store is not None:
            self.store.close()
        ended = monotonic()
        access_log = self.shared.access_log
        if access_log is not None:
            access_log.add(self, ended)
        if self.trace is not None:
            self.trace.request_ends()
        return ended

    def drop(self) -> None:
        """Close the request's body; may be repeated."""
        if self.store is not None:
            self.store.close()

    # What the application calls.

    # Its arguments can be anything: what they must be is checked.

    def start_response(self, status: Any, headers: Any,
                       exc_info: Any = None) -> Callable[[bytes], None]:
        """Take status and headers, and return `write`, as PEP 3333 says.

        Raise ResponseError for what HTTP or PEP 3333 does not allow.
        """
        if exc_info:
            try:
                if self.is_head_sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self.code:
            raise ResponseError('start_response was called a second time'
                                ' without exc_info')
        self.code = 0
        self.length, self.special, self.lines = check_headers(headers)
        self.code, self.status_line = (
            statuses.get(status) or check_status(status))
        return self.write

    def write(self, data: Any) -> None:
        """Send some of the body, as PEP 3333's ``write`` callable.

        Raise ResponseError for what is neither bytes nor a buffer.
        """
        if not isinstance(data, bytes):
            data = as_bytes(data)
        if self.is_over:
            # The connection may have the next response by now.
            raise ResponseError('write() was called after the end of the'
                                ' response')
        if not data:
            self._look_for_client()
            return
        if self._gatherer is None:
            if not self.is_head_sent:
                self.send_some(data)
                return
            self._gatherer = self._make_gatherer()
        self._gatherer.add(data)

    # What becomes of the result.

    def _answer(self, result: Any) -> None:
        kind = type(result)
        if (kind is list or kind is tuple) and not self.is_head_sent:
            data = result[0] if len(result) == 1 else joined(result)
            if data is not None:
                self.is_over = True
                self.send_whole(data if isinstance(data, bytes)
                                else as_bytes(data))
                return
        elif kind is FileWrapper:
            self.is_over = True
            if self.send_file(result):
                return
            self.is_over = False
        blocks = iter(result)
        for data in blocks:
            self.write(data)
            if self.is_head_sent:
                if not self.has_body():
                    return
                self._gather(blocks)
                break
        if self._gatherer is not None:
            self._gatherer.end()
        self.is_over = True
        self.send_end()

    def _gather(self, blocks: Iterator[Any]) -> None:
        """Do what `write` does with each block, at the least expense."""
        gatherer = self._gatherer
        if gatherer is None:
            gatherer = self._gatherer = self._make_gatherer()
        for data in blocks:
            if type(data) is not bytes:
                data = as_bytes(data)
            if not data:
                self._look_for_client()
                continue
            gatherer.add(data)
            if gatherer.is_gathering:
                gatherer.take(blocks)

    def _look_for_client(self) -> None:
        """Raise Disconnected if the client is gone, as nothing is sent."""
        if self.sink.is_gone():
            raise Disconnected('the client is gone')

    def _make_gatherer(self) -> Gatherer:
        shared = self.shared
        limit = min(GATHERED_BYTES, shared.settings.output_buffer_size)
        return Gatherer(self.send_some, self.send_on, self.sink.is_sending,
                        shared.flusher, limit)

    def _fail(self, failure: BaseException) -> None:
        if self.trace is not None:
            self.trace.failed(failure)
        self.keep_alive = False
        if self._gatherer is not None:
            with contextlib.suppress(Disconnected):
                self._gatherer.end()
        if self.is_head_sent:
            self.is_cut = True
            return
        self.length, self.special, self.lines = check_headers(FAILED_HEADERS)
        self.code, self.status_line = check_status(
            '500 Internal Server Error')
        try:
            self.send_whole(FAILED)
        except Disconnected as error:
            self._abandon(error)

    def _abandon(self, error: Disconnected) -> None:
        logger.debug('%s: %s', self, error)
        if self.trace is not None:
            self.trace.failed(error)
        self.keep_alive = False
        self.is_cut = True
        if self._gatherer is not None:
            self._gatherer.drop()
