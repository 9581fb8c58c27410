"""The development server, as an object that starts and stops."""
import contextlib
import os
import socket
import threading

from zc.zk.embedded.database import Database
from zc.zk.embedded.errors import ServerError
from zc.zk.embedded.journal import Journal
from zc.zk.embedded.loop import EventLoop
from zc.zk.embedded.sessions import Sessions

MAX_CONNECTIONS = 10_000
BACKLOG = 1024


class Server:
    """A ZooKeeper server for development, in a thread of this process.

    It listens from ``start()`` (or entering it as a context manager) to
    ``close()``, and can be started again, then on the same port. A port
    of 0 is one that the operating system picks. What was stored is gone
    after ``close()``, except where ``data`` names a file: that keeps the
    persistent nodes. Sessions end with the server.

    Times are in milliseconds. ``tick`` is ZooKeeper's tickTime: sessions
    last between 2 and 20 of them, unless ``max_session_timeout`` says
    otherwise, and end within a tick after their time.
    """

    def __init__(
        self,
        port: int = 0,
        host: str = '127.0.0.1',
        data: str | os.PathLike | None = None,
        tick: int = 200,
        max_session_timeout: int | None = None,
    ) -> None:
        if not isinstance(tick, int) or tick < 1:
            raise ValueError(
                f'tick {tick!r}: a whole number of milliseconds above 0 is'
                ' wanted')
        self.host = host
        self.port = port
        self.data = data
        self.tick = tick
        self.max_session_timeout = max_session_timeout or 20 * tick
        self._loop: EventLoop | None = None
        self._listener: socket.socket | None = None
        self._journal: Journal | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> 'Server':
        """Listen and serve; nothing when it does already."""
        if self._thread is not None:
            return self
        self._listener = self._listen()
        try:
            self._journal = (
                Journal(os.fspath(self.data)) if self.data else None)
        except BaseException:
            self._listener.close()
            raise
        sessions = Sessions(2 * self.tick, self.max_session_timeout)
        self._loop = EventLoop(
            Database(sessions, self._journal), self.tick, MAX_CONNECTIONS)
        self._loop.listen(self._listener)
        self._thread = threading.Thread(
            target=self._loop.run, name=f'zc.zk.embedded:{self.port}',
            daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop; nothing when it has stopped already."""
        if self._thread is None:
            return
        with contextlib.suppress(ServerError):
            self._loop.stop()
        self._thread.join()
        if self._listener is not None:
            self._listener.close()
        if self._journal is not None:
            self._journal.close()
        self._thread = self._loop = None
        self._listener = self._journal = None

    def __enter__(self) -> 'Server':
        return self.start()

    def __exit__(self, *exc_info) -> None:
        self.close()

    def expire(self, session_id: int) -> bool:
        """End a session as if its client had been silent for too long.

        Returns whether there was such a session. A kazoo client has its
        session's id in ``client_id[0]``.
        """
        loop = self._running()

        def expire() -> bool:
            session = loop.database.sessions.get(session_id)
            if session is None:
                return False
            loop.expire(session)
            return True

        return loop.call(expire)

    def drop_connections(self) -> None:
        """Close every connection. The sessions stay for their time."""
        loop = self._running()
        loop.call(loop.drop_connections)

    def pause(self, refuse: bool = False) -> None:
        """Stop answering, as a hung server does.

        The connections stay open, and new ones are not answered. With
        ``refuse`` it is as a stopped server: connections are closed and
        new ones refused. What is stored stays, and so do the sessions.
        """
        loop = self._running()

        def pause() -> None:
            loop.pause()
            if refuse and self._listener is not None:
                loop.listen(None)
                loop.drop_connections()
                self._listener.close()
                self._listener = None

        loop.call(pause)

    def resume(self) -> None:
        """Answer again.

        Sessions whose time was over in a pause end now; after one that
        refused connections they have their whole time again, as after
        the restart of a server.
        """
        loop = self._running()
        listener = self._listen() if self._listener is None else None

        def resume() -> None:
            if listener is not None:
                self._listener = listener
                loop.listen(listener)
                loop.database.sessions.renew()
            loop.resume()

        loop.call(resume)

    @property
    def connection_string(self) -> str:
        """``HOST:PORT``, as clients want it."""
        host = {'': '127.0.0.1', '0.0.0.0': '127.0.0.1', '::': '::1'}.get(
            self.host, self.host)
        return f'[{host}]:{self.port}' if ':' in host else (
            f'{host}:{self.port}')

    def _running(self) -> EventLoop:
        if self._loop is None:
            raise ServerError('the server does not run')
        return self._loop

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ':' in self.host else socket.AF_INET
        listener = socket.socket(family)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.host, self.port))
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            raise ServerError(
                f'cannot listen on {self.connection_string}:'
                f' {error.strerror}') from error
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        return listener
