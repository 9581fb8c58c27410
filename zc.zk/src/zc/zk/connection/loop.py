"""kazoo's connection thread, which here ends only when the client stops.

kazoo's own ends for ever at any exception that it does not expect: a
malformed frame, an unknown error code, no file descriptor for getaddrinfo. A
server would go on serving, and be out of ZooKeeper for good. Here each of
these ends the connection, is logged, and is followed by a new connection.
"""
from __future__ import annotations

import logging
import random
import socket
from collections import deque
from typing import Any

from kazoo.exceptions import AuthFailedError
from kazoo.exceptions import ConnectionDropped
from kazoo.exceptions import NoNodeError
from kazoo.exceptions import SessionExpiredError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.connection import AUTH_XID
from kazoo.protocol.connection import CHILD_EVENT
from kazoo.protocol.connection import CLOSE_RESPONSE
from kazoo.protocol.connection import DELETED_EVENT
from kazoo.protocol.connection import PING_XID
from kazoo.protocol.connection import STOP_CONNECTING
from kazoo.protocol.connection import WATCH_XID
from kazoo.protocol.connection import ConnectionHandler
from kazoo.protocol.connection import RWServerAvailable
from kazoo.protocol.serialization import Auth
from kazoo.protocol.serialization import Close
from kazoo.protocol.serialization import Connect
from kazoo.protocol.serialization import Exists
from kazoo.protocol.serialization import GetChildren
from kazoo.protocol.serialization import GetChildren2
from kazoo.protocol.serialization import ReplyHeader
from kazoo.protocol.serialization import Transaction
from kazoo.protocol.serialization import Watch
from kazoo.protocol.states import EVENT_TYPE_MAP
from kazoo.protocol.states import KeeperState
from kazoo.retry import ForceRetryError
from kazoo.retry import KazooRetry
from kazoo.retry import RetryFailedError
from zc.zk.connection.frames import FrameReader
from zc.zk.connection.frames import MalformedFrame
from zc.zk.connection.frames import SessionAnswers
from zc.zk.connection.frames import SessionRequest
from zc.zk.connection.frames import answered_error
from zc.zk.connection.unanswered import Unanswered
from zc.zk.connection.unanswered import count_unsent

logger = logging.getLogger('zc.zk.connection')

#: What ends a connection in kazoo's own way.
EXPECTED = (ConnectionDropped, SessionExpiredError, AuthFailedError,
            RWServerAvailable, KazooTimeoutError)

#: The number of times that each server may hang up before a client asks
#: without `last_zxid`; see `ConnectionLoop._connect`.
MAX_UNANSWERED = 2

#: The pause after a failure of the thread's outermost loop, in seconds.
FAILURE_PAUSE_S = 1.0

#: In place of a request: have the client begin a new session.
FORGET_SESSION = object()


class ConnectionLoop(ConnectionHandler):
    """Connect, send requests and read answers, until the client stops.

    kazoo's thread runs `zk_loop`, and that calls all methods with an
    underscore. `is_distrusted` is whether the last connection has ended with
    something unexpected. `has_ended_session` is whether a server has answered
    that the client's session has ended, as `stop` asks for.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.is_distrusted = False
        self.has_ended_session = False
        self._frames = FrameReader(self._receive)
        self._answers = SessionAnswers()
        self._has_connected = False
        self._was_unexpected = False
        # The number of connections in a row that got no session.
        self._sessionless = 0
        # The last xid that was sent before each ping that is not answered.
        self._pings: deque[int] = deque()
        self._unanswered = Unanswered(
            self.handler.create_second_connection,
            lambda: count_unsent(self._socket))
        self.handler.look = self._unanswered.look

    # The loops, from the outermost to the innermost.

    def zk_loop(self) -> None:
        """Run kazoo's connection thread."""
        self.connection_stopped.clear()
        retry = self.retry_sleeper.copy()
        try:
            while not self.client._stopped.is_set():
                try:
                    if retry(self._connect_loop, retry) is STOP_CONNECTING:
                        break
                except RetryFailedError:
                    pass  # the client was stopped during a pause
                except BaseException:
                    logger.exception('The connection to ZooKeeper failed; '
                                     'connecting again')
                    self.client._stopped.wait(FAILURE_PAUSE_S)
        finally:
            self.connection_stopped.set()
            self.client._session_callback(KeeperState.CLOSED)

    def _connect_loop(self, retry: KazooRetry) -> Any:
        """Try each server once; raise ForceRetryError for another round."""
        try:
            return super()._connect_loop(retry)
        except (ForceRetryError, RetryFailedError):
            raise
        except BaseException as error:  # noqa: BLE001 (the loop goes on)
            # getaddrinfo without file descriptors, or the exception of a
            # listener that only BaseException catches.
            self.is_distrusted = True
            self.logger.warning('Connection failed: %s', _describe(error))
            self.client._session_callback(KeeperState.CONNECTING)
            raise ForceRetryError('connecting again') from None

    def _expand_client_hosts(self) -> list[tuple[str, str, int]]:
        """Return name, IP address and port of each server's addresses.

        Note in the handler's `failures` which names cannot be resolved.
        """
        addresses = []
        for host, port in self.client.hosts:
            host = host.strip()
            with self.handler.resolving(host, port):
                addresses += [
                    (host, str(address[0]), int(address[1]))
                    for *_, address in socket.getaddrinfo(
                        host, port, 0, 0, socket.IPPROTO_TCP)]
        if self.client.randomize_hosts:
            random.shuffle(addresses)
        return addresses

    def _connect_attempt(self, host: str, hostip: str, port: int,
                         retry: KazooRetry) -> Any:
        """Connect to a server, and stay connected as long as possible."""
        pause_s = retry._cur_delay
        self._was_unexpected = False
        try:
            status = super()._connect_attempt(host, hostip, port, retry)
        finally:
            self._unanswered.clear()
        self.is_distrusted = self._was_unexpected
        if self.is_distrusted:
            # A server that answers, but not as ZooKeeper does, is not asked
            # again at once: kazoo has reset the pause.
            retry._cur_delay = pause_s
        return status

    # One connection

    def _connect(self, host: str, hostip: str, port: int) -> Any:
        """Connect, and return kazoo's time-outs in milliseconds.

        A server hangs up on a client that has seen a later transaction than
        itself. If all servers do, repeatedly, then what we have seen is not
        theirs: data was restored from a backup, or the number was wrong.
        """
        client = self.client
        self._pings.clear()
        if self._sessionless >= MAX_UNANSWERED * len(client.hosts):
            client.last_zxid = 0
        try:
            timeouts = super()._connect(host, hostip, port)
        except AuthFailedError:
            if not self._has_connected:
                raise
            raise ConnectionDropped('the server refused the credentials, '
                                    'which were accepted before') from None
        except MalformedFrame as error:
            raise self._unexpected(error) from None
        except EXPECTED:
            raise
        except Exception as error:  # noqa: BLE001 (ends the connection)
            raise self._unexpected(error) from None
        self._has_connected = True
        read_timeout_ms, _ = timeouts
        self._unanswered.begin(read_timeout_ms / 1000)
        return timeouts

    def _invoke(self, timeout: float, request: Any, xid: Any = None) -> Any:
        """Send a request and return its answer, before all other requests."""
        if not isinstance(request, Connect):
            try:
                zxid = super()._invoke(timeout, request, xid)
            except RuntimeError:
                # kazoo's error for a wrong xid, and for an unknown code.
                raise MalformedFrame('no answer to '
                                     f'{type(request).__name__}') from None
            self._unanswered.settle()
            return zxid
        request = SessionRequest(*request)
        self._submit(request, timeout)
        self._sessionless += 1
        answer = request.read_answer(self._frames.read(timeout))
        self._unanswered.settle()
        self._sessionless = 0
        self._answers.check(request, answer)
        return answer, None

    def _submit(self, request: Any, timeout: float, xid: Any = None) -> None:
        """Send a request, as a whole."""
        super()._submit(request, timeout, xid)
        self._unanswered.add(type(request).__name__)

    def _unexpected(self, error: Exception) -> ConnectionDropped:
        """Return an error that ends the connection in kazoo's own way."""
        self._was_unexpected = True
        if isinstance(error, MalformedFrame):
            return error
        return ConnectionDropped(_describe(error))

    # Answers

    def _receive(self, count: int, wait_s: float) -> bytes:
        """Return the next 1 to `count` bytes; see `FrameReader`."""
        with self._socket_error_handling():
            while True:
                if not self.handler.select([self._socket], [], [], wait_s)[0]:
                    raise KazooTimeoutError('socket time-out during read')
                try:
                    data = self._socket.recv(count)
                except BlockingIOError:
                    continue
                if not data:
                    raise ConnectionDropped('socket connection broken')
                self._unanswered.hear()
                return data

    def _read_header(self, timeout: float) -> Any:
        frame = self._frames.read(timeout)
        header, offset = ReplyHeader.deserialize(frame, 0)
        return header, frame, offset

    def _read_socket(self, read_timeout: float) -> Any:
        """Read a frame, and act on it."""
        since = self._unanswered.since
        try:
            header, frame, offset = self._read_header(read_timeout)
            if header.xid == WATCH_XID:
                self._unanswered.since = since  # an event answers nothing
                self._read_watch_event(frame, offset)
                return None
            response = None
            if header.xid == PING_XID:
                self._read_pong(len(frame) - offset)
            elif header.xid == AUTH_XID:
                self._read_auth(header.err)
            else:
                response = self._read_response(header, frame, offset)
            self._unanswered.settle()
            return response
        except MalformedFrame as error:
            raise self._unexpected(error) from None
        except EXPECTED:
            raise
        except Exception as error:  # noqa: BLE001 (ends the connection)
            raise self._unexpected(error) from None

    def _read_pong(self, size: int) -> None:
        if size or not self._pings:
            raise MalformedFrame('an answer to no ping')
        last = self._pings.popleft()
        # Answers come in the order of the requests.
        if self.client._pending and self.client._pending[0][2] <= last:
            raise MalformedFrame('an answer is missing')

    def _read_auth(self, code: int) -> None:
        pending = self.client._pending
        if not pending or pending[0][0].type != Auth.type:
            raise MalformedFrame('an answer to no authentication')
        _, answer, _ = pending.popleft()
        if code:
            answer.set_exception(AuthFailedError())
            self.client._session_callback(KeeperState.AUTH_FAILED)
        else:
            answer.set(True)

    def _read_watch_event(self, frame: bytes, offset: int) -> None:
        client = self.client
        event, _ = Watch.deserialize(frame, offset)
        watchers: Any = ()
        if event.type != CHILD_EVENT:
            watchers = client._data_watchers.get(event.path)
        if event.type in (CHILD_EVENT, DELETED_EVENT):
            watchers = watchers or client._child_watchers.get(event.path)
        if not (watchers and event.type in EVENT_TYPE_MAP
                or client._stopped.is_set()):
            # The event that was meant would be lost.
            raise MalformedFrame('an event of a node that is not watched')
        super()._read_watch_event(frame, offset)

    def _read_response(self, header: Any, frame: bytes, offset: int) -> Any:
        """Settle a request; until that is sure to work, it is pending.

        A request that is pending when the connection ends fails with
        ConnectionLoss.
        """
        client = self.client
        if not client._pending or client._pending[0][2] != header.xid:
            raise MalformedFrame(f'an answer to the request {header.xid}')
        request, answer, _ = client._pending[0]
        outcome = self._outcome(request, header.err, frame, offset)
        client._pending.popleft()
        if header.zxid > 0:
            client.last_zxid = header.zxid
        if answer is not None:
            if isinstance(outcome, Exception):
                self.logger.debug('Received error(xid=%s) %r', header.xid,
                                  outcome)
                answer.set_exception(outcome)
            else:
                self.logger.debug('Received response(xid=%s): %r', header.xid,
                                  outcome)
                answer.set(outcome)
            if not header.err or outcome is None:
                self._keep_watcher(request)
        if request.type == Close.type:
            self.has_ended_session = not header.err
            return CLOSE_RESPONSE
        return None

    def _outcome(self, request: Any, code: int, frame: bytes,
                 offset: int) -> Any:
        """Return the result of a request, or an exception to set.

        Raises an exception if the frame is malformed.
        """
        if code:
            error = answered_error(code)
            if request.type == Exists.type and isinstance(error, NoNodeError):
                return None
            return error
        if request.type == Close.type:
            return None
        result = request.deserialize(frame, offset)
        if request.type == Transaction.type:
            return Transaction.unchroot(self.client, result)
        return result

    def _keep_watcher(self, request: Any) -> None:
        watcher = getattr(request, 'watcher', None)
        if watcher and not self.client._stopped.is_set():
            watchers = (
                self.client._child_watchers
                if isinstance(request, GetChildren | GetChildren2)
                else self.client._data_watchers)
            watchers[request.path].add(watcher)

    # Requests

    def _send_request(self, read_timeout: float,
                      connect_timeout: float) -> None:
        """Send the next request; fail one that has no representation."""
        queue = self.client._queue
        if queue and queue[0][0] is FORGET_SESSION:
            self._was_unexpected = True
            raise SessionExpiredError()
        try:
            super()._send_request(read_timeout, connect_timeout)
        except (*EXPECTED, OSError):
            raise
        except Exception as error:  # noqa: BLE001 (the caller gets it)
            # Nothing was sent: kazoo makes the bytes before.
            _, answer = self.client._queue.popleft()
            self._read_sock.recv(1)
            if answer is not None:
                answer.set_exception(error)

    def _send_ping(self, connect_timeout: float) -> None:
        self._pings.append(self._xid)
        try:
            super()._send_ping(connect_timeout)
        except EXPECTED:
            raise
        except Exception as error:  # noqa: BLE001 (ends the connection)
            raise self._unexpected(error) from None
        # `_unanswered` waits for the answer, not kazoo.
        self.ping_outstanding.clear()


def _describe(error: BaseException) -> str:
    return f'{type(error).__name__}: {error}'.rstrip(': ')
