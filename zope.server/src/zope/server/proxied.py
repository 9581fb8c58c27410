"""The receiving side of a connection where proxies may be in front."""
from __future__ import annotations

from collections.abc import Sized
from typing import Any

from zope.server.body import MustWait
from zope.server.errors import HTTPError
from zope.server.proxies import PEER
from zope.server.proxies import Proxies
from zope.server.proxies import set_client
from zope.server.proxyprotocol import Source
from zope.server.proxyprotocol import read_header
from zope.server.receiver import LOGGED_LINE_BYTES
from zope.server.receiver import Receiver
from zope.server.receiver import T
from zope.server.shared import SharedState


class ProxiedReceiver(Receiver[T]):
    """A receiver that believes what trusted proxies say of their clients.

    With `proxy_protocol` a trusted peer begins with a PROXY header, before
    which nothing is taken for a request.  It has `header_timeout` for that.
    """

    __slots__ = ('_proxies', '_is_trusted', '_preface', '_since', '_source',
                 '_applied')

    def __init__(self, shared: SharedState, environ: dict[str, Any],
                 make: type[T], waiting: Sized = (), *,
                 proxies: Proxies) -> None:
        super().__init__(shared, environ, make, waiting)
        self._proxies = proxies
        self._is_trusted = proxies.is_trusted(environ['REMOTE_ADDR'])
        if proxies.has_trusted:
            environ[PEER] = environ['REMOTE_ADDR']
        # What has come of the PROXY header; None: no more is expected.
        self._preface: bytes | None = None
        if proxies.has_protocol and self._is_trusted:
            self._preface = b''
        self._since = shared.now
        self._source: Source | None = None
        self._applied: T | None = None

    def has_begun(self) -> bool:
        """Return whether something of a further request is here."""
        return bool(self._preface) or super().has_begun()

    @property
    def first_line(self) -> bytes:
        """The request line, or the PROXY header, as far as it has come."""
        if self._preface:
            return self._preface[:LOGGED_LINE_BYTES]
        return super().first_line

    def feed(self, data: bytes) -> bool:
        """Take data; return whether a request is complete; see `Receiver`."""
        if self._preface is not None:
            self._preface += data
            header = read_header(self._preface)
            if header is None:
                return False
            data = self._preface[header.size:]
            self._preface = None
            self._set_source(header.source)
            if not data:
                return False
        try:
            is_complete = super().feed(data)
        except MustWait:
            self._apply()
            raise
        self._apply()
        return is_complete

    def _set_source(self, source: Source | None) -> None:
        self._source = source
        if source is not None:
            set_client(self.environ, source)

    def _apply(self) -> None:
        """Set what proxies tell of a request whose head has just come."""
        request = self._request
        if request is not None and request is not self._applied:
            self._applied = request
            self._proxies.apply(request, self._is_trusted, self._source)

    def take(self) -> T:
        """Return the complete request, which now owns its body."""
        self._applied = None
        return super().take()

    def overdue(self, now: float) -> HTTPError | None:
        """Return why the connection is ended; None to wait on."""
        if self._preface is None:
            return super().overdue(now)
        if now - self._since > self._settings.header_timeout:
            return HTTPError(408, 'The PROXY header has not come in time.')
        return None

    def close(self) -> None:
        """Drop what is here; may be repeated."""
        self._applied = None
        super().close()
