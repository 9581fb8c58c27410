"""Server: the development server, which starts and stops."""
import contextlib
import ipaddress
import logging
import os
import socket
import threading

from zc.zk.embedded.database import Database
from zc.zk.embedded.errors import RemoteError
from zc.zk.embedded.errors import ServerError
from zc.zk.embedded.journal import Journal
from zc.zk.embedded.loop import EventLoop
from zc.zk.embedded.sessions import Sessions

logger = logging.getLogger('zc.zk.embedded')

MAX_CONNECTIONS = 10_000
BACKLOG = 1024


class Server:
    """A ZooKeeper server for development, in a thread of this process.

    It listens from `start` to `close`, and can be started again, then on the
    same port. As a context manager it does both. A method that needs a running
    server raises ServerError without one.

    `port`
        0 lets the operating system pick a port, which the attribute then has.
    `host`
        The name or IP address to listen on; empty is every IPv4 address.
    `data`
        The path of a file that keeps the persistent nodes. Without it,
        `close` discards all nodes. Sessions always end with the server.
    `tick`
        ZooKeeper's tickTime in milliseconds: the shortest session timeout is
        2 ticks. A session expires at most a tick after its timeout.
    `max_session_timeout`
        The longest session timeout, in milliseconds; None is 20 ticks.
    `allow_remote`
        Whether a `host` is taken that other machines reach. That is logged
        as a warning: the server is for development, on one machine.
    """

    def __init__(
        self,
        port: int = 0,
        host: str = '127.0.0.1',
        data: str | os.PathLike | None = None,
        tick: int = 200,
        max_session_timeout: int | None = None,
        allow_remote: bool = True,
    ) -> None:
        if not isinstance(tick, int) or tick < 1:
            raise ValueError(
                f'tick {tick!r}: a whole number of milliseconds above 0 is'
                ' wanted')
        self.host = host
        self.port = port
        self.data = data
        self.tick = tick
        self.allow_remote = allow_remote
        self.max_session_timeout = max_session_timeout or 20 * tick
        self._run: _Run | None = None

    def start(self) -> 'Server':
        """Listen and serve, unless it does already; return the server.

        Raise ServerError when it cannot listen, DataError when it cannot use
        the data file.
        """
        if self._run is not None:
            return self
        listener = self._listen()
        try:
            journal = Journal(os.fspath(self.data)) if self.data else None
        except BaseException:
            listener.close()
            raise
        sessions = Sessions(2 * self.tick, self.max_session_timeout)
        loop = EventLoop(
            Database(sessions, journal), self.tick, MAX_CONNECTIONS)
        self._run = _Run(
            loop, listener, journal, f'zc.zk.embedded:{self.port}')
        return self

    def close(self) -> None:
        """Stop, unless it has stopped already."""
        if self._run is not None:
            self._run.end()
            self._run = None

    def __enter__(self) -> 'Server':
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.close()

    def expire(self, session_id: int) -> bool:
        """End a session as if its client had been silent for too long.

        Return whether there was such a session. The number of a kazoo
        client's session is ``client.client_id[0]``.
        """
        loop = self._running().loop

        def expire() -> bool:
            session = loop.database.sessions.get(session_id)
            if session is None:
                return False
            loop.expire(session)
            return True

        return loop.call(expire)

    def drop_connections(self) -> None:
        """Close all connections; the sessions go on until their timeouts."""
        loop = self._running().loop
        loop.call(loop.drop_connections)

    def pause(self, refuse: bool = False) -> None:
        """Stop answering, as a hung server does.

        Connections stay open, new connections are not answered. With
        `refuse`, behave like a server that is down: close all connections,
        and refuse new ones. Nodes and sessions stay.
        """
        run = self._running()

        def pause() -> None:
            run.loop.pause()
            if refuse and run.listener is not None:
                run.loop.listen(None)
                run.loop.drop_connections()
                run.listener.close()
                run.listener = None

        run.loop.call(pause)

    def resume(self) -> None:
        """Answer again.

        A session whose timeout passed in the pause expires now. After a pause
        that refused connections, all timeouts start again, as after the
        restart of a server.
        """
        run = self._running()
        listener = self._listen() if run.listener is None else None

        def resume() -> None:
            if listener is not None:
                run.listener = listener
                run.loop.listen(listener)
                run.loop.database.sessions.renew()
            run.loop.resume()

        run.loop.call(resume)

    @property
    def connection_string(self) -> str:
        """``HOST:PORT`` for clients; a loopback address for all interfaces."""
        host = {'': '127.0.0.1', '0.0.0.0': '127.0.0.1', '::': '::1'}.get(
            self.host, self.host)
        return f'[{host}]:{self.port}' if ':' in host else (
            f'{host}:{self.port}')

    def _running(self) -> '_Run':
        if self._run is None:
            raise ServerError('the server does not run')
        return self._run

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ':' in self.host else socket.AF_INET
        listener = socket.socket(family)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.host, self.port))
            self._check_address(listener.getsockname()[0])
            listener.listen(BACKLOG)
        except ServerError:
            listener.close()
            raise
        except OSError as error:
            listener.close()
            raise ServerError(
                f'cannot listen on {self.connection_string}:'
                f' {error.strerror}') from error
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        return listener

    def _check_address(self, address: str) -> None:
        if ipaddress.ip_address(address).is_loopback:
            return
        if not self.allow_remote:
            raise RemoteError(
                f'other machines can reach {address}, and every client may'
                ' read and change all nodes without an ACL')
        logger.warning(
            'this ZooKeeper for development listens on %s, which other'
            ' machines can reach', address)


class _Run:
    """One run of a server, from its start to its close.

    `listener` is None while a pause refuses connections.
    """

    def __init__(
        self, loop: EventLoop, listener: socket.socket,
        journal: Journal | None, name: str,
    ) -> None:
        self.loop = loop
        self.listener: socket.socket | None = listener
        self.journal = journal
        loop.listen(listener)
        self.thread = threading.Thread(
            target=loop.run, name=name, daemon=True)
        self.thread.start()

    def end(self) -> None:
        """Stop the loop and close the socket and the data file."""
        with contextlib.suppress(ServerError):
            self.loop.stop()
        self.thread.join()
        if self.listener is not None:
            self.listener.close()
        if self.journal is not None:
            self.journal.close()
