"""A ZooKeeper session that may outlive its process, and how to end it.

A process tells its `SessionKey` to its parent, and keeps it in a file (see
`zc.zkzopeserver.sessionfile`), so that its nodes can be removed as soon as it
has died, and not when its session times out.

The password in it is a bearer secret: it goes through a socketpair and into
files of mode 0600, and never into a log, an environment or an argument.
"""
from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from collections.abc import Set
from typing import TypeVar

Result = TypeVar('Result')

# The longest text of a key, in bytes: a message between worker and parent,
# and a slot of a file, have room for it.
LIMIT_BYTES = 4000


@dataclasses.dataclass(frozen=True)
class SessionKey:
    """What it takes to end the session of a process.

    `pid` is that of the process, as it sees it.  `session` and `password` are
    kazoo's `client_id`.  `zookeeper`, `ca`, `cert` and `key` are as
    `zc.zk.end_session` takes them.
    """

    pid: int
    session: int
    password: bytes = dataclasses.field(repr=False)
    zookeeper: str
    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def __str__(self) -> str:
        return (f'session 0x{self.session & (1 << 64) - 1:x}'
                f' of pid {self.pid}')

    def encode(self) -> str:
        """Return the text that `decode` takes, one line.

        ValueError when it is longer than LIMIT_BYTES.
        """
        values = dataclasses.asdict(self)
        values['password'] = self.password.hex()
        text = json.dumps({name: value for name, value in values.items()
                           if value is not None})
        if len(text) > LIMIT_BYTES:
            raise ValueError(f'the addresses of ZooKeeper and the names of'
                             f' its files have more than {LIMIT_BYTES} bytes')
        return text

    @classmethod
    def decode(cls, text: str | bytes) -> SessionKey:
        """Return the key of a text; ValueError for any other text.

        Its message does not show the text.
        """
        try:
            values = json.loads(text)
            values['password'] = bytes.fromhex(values['password'])
            made = cls(**values)
        except (TypeError, ValueError, LookupError, RecursionError):
            made = None
        if made is None or not (
                type(made.pid) is int and type(made.session) is int
                and -1 << 63 <= made.session < 1 << 63
                and isinstance(made.zookeeper, str)
                and all(isinstance(each, str | None)
                        for each in (made.ca, made.cert, made.key))):
            raise ValueError('no key of a session')
        return made

    def end(self) -> bool:
        """End the session; return whether there was one.

        Raise FailedConnect or ValueError, with one line, when that cannot be
        done.
        """
        # Imported here: a parent of workers does without ZooKeeper while it
        # starts them.
        import zc.zk
        return self._call(zc.zk.end_session)

    def others(self) -> tuple[Set[str], Set[str]] | None:
        """Return the nodes of the session, and all that are beside these.

        Both are sets of paths; see `zc.zk.session_nodes`.  None when that
        cannot be known.  Raise FailedConnect when no ZooKeeper answers.
        """
        import zc.zk
        return self._call(zc.zk.session_nodes)

    def _call(self, function: Callable[..., Result]) -> Result:
        return function(self.zookeeper, self.session, self.password,
                        ca=self.ca, cert=self.cert, key=self.key)

    def prepare(self) -> None:
        """Import what `end` needs, which takes much longer than the rest."""
        import zc.zk.endsession
        if self.ca or self.cert or self.key:
            import zc.zk.connection.tls  # noqa: F401


def own_key(client_id: tuple[int, bytes], zookeeper: str,
            files: tuple[str | None, str | None, str | None]) -> SessionKey:
    """Return the key of a session of this process.

    `files` are the certificate authorities, the certificate and its key, by
    names that hold in any directory.
    """
    session, password = client_id
    ca, cert, key = (name and os.path.abspath(name) for name in files)
    return SessionKey(os.getpid(), session, password, zookeeper, ca, cert,
                      key)
