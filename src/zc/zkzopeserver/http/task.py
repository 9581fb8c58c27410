"""One request and the application's answer to it."""
from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any

from zc.zkzopeserver.http.body import Store
from zc.zkzopeserver.http.errors import Disconnected
from zc.zkzopeserver.http.errors import ResponseError
from zc.zkzopeserver.http.request import Request
from zc.zkzopeserver.http.response import ResponseHead
from zc.zkzopeserver.http.response import shown
from zc.zkzopeserver.http.wrapper import FileWrapper

if TYPE_CHECKING:
    from zc.zkzopeserver.http.channel import Channel

logger = logging.getLogger(__name__)

JOINED = 65536
FAILED = b'The server has met an error and cannot answer.\n'


class Task:
    """A request that is answered: by `run`, then `finish`.

    A worker calls both, one after the other unless `run` says that a file is
    still being sent.
    """

    __slots__ = ('channel', 'context', 'request', 'store', 'head', 'began',
                 'is_head_sent', 'is_chunked', 'is_cut', 'missing', 'sent',
                 'keep_alive', 'trace', '_result', '_is_finished')

    def __init__(self, channel: Channel, request: Request,
                 store: Store | None) -> None:
        self.channel = channel
        self.context = channel.context
        self.request = request
        self.store = store
        self.began = time.perf_counter()
        self.head: ResponseHead | None = None
        self.is_head_sent = False
        self.is_chunked = False
        self.is_cut = False
        self.missing: int | None = None
        self.sent = 0
        self.keep_alive = request.keep_alive
        self.trace = request.trace
        self._result: Any = None
        self._is_finished = False

    def run(self) -> bool:
        """Have the application answer; False while a file is being sent."""
        trace = self.trace
        if trace is not None:
            trace.application_begins()
        try:
            self._result = result = self.context.application(
                self.request.environ, self.start_response)
            if trace is not None:
                trace.application_ends(self.head)
            self._answer(result)
        except Disconnected as error:
            self._abandon(error)
        except BaseException as error:
            # Whatever it is, SystemExit too, ends the request and not the
            # thread.
            logger.exception('%s: the application failed', self)
            self._fail(error)
        return not (type(self._result) is FileWrapper
                    and self.channel.output)

    def finish(self) -> None:
        """Close what the application has returned, and the body."""
        if self._is_finished:
            return
        self._is_finished = True
        close = getattr(self._result, 'close', None)
        self._result = None
        if close is not None:
            try:
                close()
            except BaseException:
                logger.exception('%s: close() of the response failed', self)
        if self.store is not None:
            self.store.close()
        if self.channel.output.is_broken:
            self.keep_alive = False
        if self.context.access_log is not None:
            self.context.access_log.add(self)
        if self.trace is not None:
            self.trace.request_ends()

    def __str__(self) -> str:
        """The request as logs show it: its text is quoted."""
        environ = self.request.environ
        return (f'{self.request.method} {shown(environ["REQUEST_URI"])} from'
                f' {environ["REMOTE_ADDR"]}')

    # What the application calls.

    def start_response(self, status: str, headers: list[tuple[str, str]],
                       exc_info: Any = None) -> Callable[[bytes], None]:
        """Take status and headers, as PEP 3333 says."""
        if exc_info:
            try:
                if self.is_head_sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self.head is not None:
            raise ResponseError('start_response was called a second time'
                                ' without exc_info')
        self.head = None
        self.head = ResponseHead(status, headers)
        return self.write

    def write(self, data: bytes) -> None:
        """Send some of the body, after the head."""
        if not isinstance(data, bytes):
            raise ResponseError(
                f'the body must be bytes, not {shown(data)}')
        if not data:
            return
        if not self.is_head_sent:
            self._begin(data, None)
        elif self._has_body():
            self._continue(data)

    # The response on the wire.

    def _answer(self, result: Any) -> None:
        if type(result) in (list, tuple) and len(result) <= 1:
            data = result[0] if result else b''
            if not self.is_head_sent and isinstance(data, bytes):
                self._begin(data, len(data))
                return
        if type(result) is FileWrapper and self._send_file(result):
            return
        for data in result:
            self.write(data)
            if self.is_head_sent and not self._has_body():
                break
        self._end()

    def _has_body(self) -> bool:
        return self.request.method != 'HEAD' and self.head.has_body

    def _begin(self, data: bytes, total: int | None) -> None:
        """Send the head with the first data; `total` is the body's length.

        When it is known, `data` is all there is.
        """
        if self.head is None:
            raise ResponseError('start_response was not called')
        head = self._head(total)
        self.is_head_sent = True
        channel = self.channel
        if not self._has_body():
            channel.send(head)
        elif self.is_chunked:
            self.sent += len(data)
            channel.send(b'%b%x\r\n%b\r\n' % (head, len(data), data))
        else:
            if self.missing is not None:
                data = self._measured(data)
            self.sent += len(data)
            if len(data) < JOINED:
                channel.send(head + data)
            else:
                channel.send_pair(head, data)
            if total is not None and self.missing:
                self._fall_short()

    def _continue(self, data: bytes) -> None:
        if self.missing is not None:
            data = self._measured(data)
        if data:
            self.sent += len(data)
            if self.is_chunked:
                data = b'%x\r\n%b\r\n' % (len(data), data)
            self.channel.send(data)

    def _end(self) -> None:
        if not self.is_head_sent:
            self._begin(b'', 0)
        elif self.is_chunked and self._has_body():
            self.channel.send(b'0\r\n\r\n')
        elif self.missing and self._has_body():
            self._fall_short()

    def _head(self, total: int | None) -> bytes:
        head, minor, context = self.head, self.request.minor, self.context
        length = total if head.length is None else head.length
        if head.code == 204 or head.code == 304 and head.length is None:
            framing = ''
        elif length is not None:
            self.missing = length
            framing = f'Content-Length: {length}\r\n'
        elif not self._has_body():
            framing = ''
        elif minor:
            self.is_chunked = True
            framing = 'Transfer-Encoding: chunked\r\n'
        else:
            self.keep_alive = False
            framing = ''
        if context.is_draining and not self.channel.has_more():
            self.keep_alive = False
        if not self.keep_alive:
            framing += 'Connection: close\r\n'
        elif not minor:
            framing += 'Connection: keep-alive\r\n'
        tail = context.tail
        if head.has_date or head.has_server:
            tail = (('' if head.has_server else context.server)
                    + ('' if head.has_date else context.date) + '\r\n')
        space = '' if ' ' in head.status else ' '
        return (f'HTTP/1.{minor} {head.status}{space}\r\n'
                f'{"".join(head.lines)}{framing}{tail}').encode('latin-1')

    def _measured(self, data: bytes) -> bytes:
        """Some data, cut at the length that was announced."""
        self.missing -= len(data)
        if self.missing < 0:
            logger.error('%s: the body is longer than its Content-Length;'
                         ' the rest is dropped', self)
            data = data[:self.missing]
            self.missing = 0
            self.keep_alive = False
        return data

    def _fall_short(self) -> None:
        logger.error('%s: the body is shorter than its Content-Length; the'
                     ' connection is closed', self)
        self.keep_alive = False
        self.is_cut = True

    def _send_file(self, wrapper: FileWrapper) -> bool:
        stretch = wrapper.stretch()
        if stretch is None or self.is_head_sent or self.head is None:
            return False
        offset, left = stretch
        if self.head.length is not None:
            left = min(left, self.head.length)
        head = self._head(left)
        self.is_head_sent = True
        self.channel.send(head)
        if self._has_body():
            self.missing -= left
            self.sent += left
            if left:
                self.channel.send_file(wrapper.file, offset, left)
            if self.missing:
                self._fall_short()
        return True

    def _fail(self, error: BaseException) -> None:
        if self.trace is not None:
            self.trace.failed(error)
        self.keep_alive = False
        if self.is_head_sent:
            self.is_cut = True
            return
        self.is_chunked = False
        self.head = ResponseHead('500 Internal Server Error', [
            ('Content-Type', 'text/plain; charset=utf-8')])
        try:
            self._begin(FAILED, len(FAILED))
        except Disconnected as gone:
            self._abandon(gone)

    def _abandon(self, error: Disconnected) -> None:
        logger.debug('%s: %s', self, error)
        if self.trace is not None:
            self.trace.failed(error)
        self.keep_alive = False
        self.is_cut = True
