"""Client: the protocol of one connection, from handshake to close."""
import logging
from typing import Protocol

from zc.zk.embedded import acl
from zc.zk.embedded import jute
from zc.zk.embedded.database import Database
from zc.zk.embedded.errors import Malformed
from zc.zk.embedded.errors import Refused
from zc.zk.embedded.protocol import EVENT
from zc.zk.embedded.protocol import REPLY
from zc.zk.embedded.protocol import Code
from zc.zk.embedded.protocol import EventType
from zc.zk.embedded.protocol import OpCode
from zc.zk.embedded.protocol import Xid
from zc.zk.embedded.requests import HANDLERS
from zc.zk.embedded.sessions import PASSWORD_BYTES
from zc.zk.embedded.sessions import Session

logger = logging.getLogger('zc.zk.embedded')


class Transport(Protocol):
    """The connection, as a client needs it."""

    def send(self, frame: bytes) -> None:
        """Queue a frame."""

    def finish(self) -> None:
        """Close once the output is sent; receive no more frames."""


class Client:
    """The state of one connection: its identities, watches and session.

    `session` is None before the handshake. `watching` has the kinds and paths
    of the client's watches.
    """

    def __init__(
        self, database: Database, host: str, transport: Transport,
    ) -> None:
        self._database = database
        self._transport = transport
        self.ids: list[acl.Id] = [acl.Id('ip', host)]
        self.watching: set[tuple[str, str]] = set()
        self.session: Session | None = None

    @property
    def session_id(self) -> int:
        """The number of the session, 0 before the handshake."""
        return 0 if self.session is None else self.session.id

    def receive(self, frame: bytes) -> None:
        """Answer a frame. Raise Malformed when it has no request header."""
        reader = jute.Reader(frame)
        if self.session is None:
            self._connect(reader)
            return
        self.session.touch()
        xid = reader.integer()
        op = reader.integer()
        if op == OpCode.AUTH:
            self._authenticate(xid, reader)
        elif op == OpCode.CLOSE:
            self._database.end(self.session)
            self._reply(xid)
            self._transport.finish()
        elif op in HANDLERS:
            self._request(xid, op, reader)
        else:
            logger.warning(
                '%s: a request of unknown type %d: closed',
                self._transport, op)
            self._reply(xid, Code.UNIMPLEMENTED)
            self._transport.finish()

    def notify(self, event: int, path: str, zxid: int = -1) -> None:
        """Send a watch event, with the zxid of the change.

        The zxid is -1 for a change that the client missed.
        """
        self._transport.send(
            REPLY.pack(Xid.EVENT, zxid, Code.OK)
            + EVENT.pack(event, EventType.STATE_CONNECTED)
            + jute.string(path))

    def leave(self) -> None:
        """Remove the watches of a lost connection; the session goes on."""
        self._database.watches.forget(self)
        if self.session is not None and self.session.connection is self:
            self.session.connection = None

    def dismiss(self) -> None:
        """Close, as the session has ended, or moved to another connection."""
        self._transport.finish()

    def _request(self, xid: int, op: int, reader: jute.Reader) -> None:
        try:
            body = HANDLERS[op](self._database, self, reader)
        except Refused as refusal:
            self._reply(xid, refusal.code)
        except Malformed as error:
            logger.warning(
                '%s: a request of type %d is malformed: %s',
                self._transport, op, error)
            self._reply(xid, Code.MARSHALLING_ERROR)
        else:
            self._reply(xid, Code.OK, body)

    def _reply(
        self, xid: int, code: int = Code.OK, body: bytes = b'',
    ) -> None:
        self._transport.send(
            REPLY.pack(xid, self._database.zxid, code) + body)

    def _connect(self, reader: jute.Reader) -> None:
        reader.integer()  # the version of the protocol, always 0
        seen = reader.long()
        timeout = reader.integer()
        number = reader.long()
        password = reader.buffer()
        # Old clients send no read-only flag, and expect none in the answer.
        is_old = not reader.left
        if seen > self._database.zxid:
            raise Malformed(
                f'a client that has seen zxid {seen:#x}, ours is'
                f' {self._database.zxid:#x}')
        sessions = self._database.sessions
        if number:
            session = sessions.resume(number, password, timeout)
        else:
            session = sessions.open(timeout)
        self._welcome(session, is_old)

    def _welcome(self, session: Session | None, is_old: bool) -> None:
        if session is not None:
            if session.connection is not None:
                session.connection.dismiss()
            session.connection = self
            self.session = session
            answer = (session.timeout, session.id, session.password)
        else:
            answer = (0, 0, bytes(PASSWORD_BYTES))
        timeout, number, password = answer
        self._transport.send(
            jute.INT.pack(0) + jute.INT.pack(timeout)
            + jute.LONG.pack(number) + jute.buffer(password)
            + (b'' if is_old else b'\0'))
        if session is None:
            self._transport.finish()

    def _authenticate(self, xid: int, reader: jute.Reader) -> None:
        reader.integer()
        scheme = reader.string()
        credential = reader.buffer()
        if scheme == 'digest' and credential is not None:
            shown = acl.digest(credential)
            if shown not in self.ids:
                self.ids.append(shown)
        elif scheme != 'ip':
            logger.warning(
                '%s: authentication by scheme %.40r failed: closed',
                self._transport, scheme)
            self._reply(xid, Code.AUTH_FAILED)
            self._transport.finish()
            return
        self._reply(xid)
