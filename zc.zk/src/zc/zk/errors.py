"""The exceptions of zc.zk. Those of ZooKeeper itself are kazoo's."""
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager

from kazoo.exceptions import ConnectionClosedError
from kazoo.exceptions import NoAuthError
from kazoo.exceptions import NoNodeError
from zc.zk.printable import printable


class FailedConnect(Exception):
    """No ZooKeeper server answered, or a server refused our credentials.

    The text names the servers that were tried.
    """


class UsedAfterFork(ConnectionClosedError):
    """A session of the parent process was used in a forked child."""

    def __init__(self, pid: int) -> None:
        super().__init__(f'this session is that of process {pid}, before a '
                         'fork; make a ZooKeeper object in each process')


class CancelWatch(Exception):
    """Raised by a callback that is not to be called again."""


class LinkLoop(Exception):
    """Symbolic links, or property links, run in a circle.

    `paths` is the tuple of steps; the last step is equal to an earlier one.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = tuple(paths)
        super().__init__(
            'links run in a circle: ' + ', '.join(map(printable, self.paths)))


class BadPropertyLink(ValueError):
    """A property link (``name => /path property``) leads nowhere."""

    def __init__(self, path: str, name: str, link: object,
                 why: object) -> None:
        super().__init__(printable(f'{path}: {name} => {link}: {why}'))


@contextmanager
def permission(name: str, path: str, chroot: str = '') -> Iterator[None]:
    """Name the node, and the permission, in an exception of the block.

    The text of a NoAuthError becomes `path` and `name`, as in ``/a (READ)``.
    That of a NoNodeError without text becomes `missing_node`.
    """
    try:
        yield
    except NoAuthError:
        raise NoAuthError(f'{path} ({name})') from None
    except NoNodeError as error:
        if str(error):
            raise
        raise NoNodeError(missing_node(path, chroot)) from None


def missing_node(path: str, chroot: str) -> str:
    """Return the text of a NoNodeError: the path, and the missing chroot.

    `chroot` is the root of the connection.
    """
    if path.rstrip('/') or not chroot:
        return path
    return f'/ (the root of the connection, {chroot}, does not exist)'
