"""The exceptions of zc.zk; those of ZooKeeper itself are kazoo's."""
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager

from kazoo.exceptions import NoAuthError


class FailedConnect(Exception):
    """No ZooKeeper server answered, or none accepted our credentials.

    The text names the servers that were tried.
    """


class CancelWatch(Exception):
    """Raised by a callback that does not want to be called any more."""


class LinkLoop(Exception):
    """Following links led back to where they had led before.

    ``paths`` are the steps, the first of them repeated at the end.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = tuple(paths)
        super().__init__('links run in a circle: ' + ', '.join(self.paths))


class BadPropertyLink(ValueError):
    """A property link (``name => /path property``) that leads nowhere."""

    def __init__(self, path: str, name: str, link: object,
                 why: object) -> None:
        super().__init__(f'{path}: {name} => {link}: {why}')


@contextmanager
def permission(name: str, path: str) -> Iterator[None]:
    """Have a NoAuthError in the block tell what was not allowed.

    Its text becomes the path and the name of the permission, ``/a (READ)``.
    """
    try:
        yield
    except NoAuthError:
        raise NoAuthError(f'{path} ({name})') from None
