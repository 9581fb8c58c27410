"""The properties of a node, as a mapping that follows property links.

A property link is a property ``NAME =>``. Its value is the path of another
node and, optionally, the name of a property there, which is NAME by default.
A relative path begins at the node that has the link.
"""
import logging
import weakref
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from kazoo.exceptions import BadVersionError
from kazoo.exceptions import ConnectionClosedError
from kazoo.exceptions import KazooException
from kazoo.exceptions import NoNodeError
from kazoo.protocol.states import EventType
from kazoo.protocol.states import ZnodeStat
from zc.zk.encoding import decode
from zc.zk.encoding import encode
from zc.zk.errors import BadPropertyLink
from zc.zk.errors import CancelWatch
from zc.zk.errors import LinkLoop
from zc.zk.loglimit import LimitedLogger
from zc.zk.paths import relative_to
from zc.zk.watch.dispatcher import WatchDispatcher
from zc.zk.watch.views import NodeView

logger = LimitedLogger(logging.getLogger('zc.zk.watch'))

ARROW = ' =>'

#: Errors that mean that a link leads nowhere.
LINK_ERRORS = (KazooException, LinkLoop, LookupError, ValueError)

Data = dict[str, Any]
Paths = set[str]


class RawProperties(NodeView):
    """A node's own properties; links are not followed."""

    event = EventType.CHANGED
    data: Data

    def _empty(self) -> Data:
        return {}

    def _fetch(self) -> tuple[Data, tuple[Any, ...]]:
        data, stat = self._dispatcher.get(self.real_path, self.watch)
        return decode(data, self.real_path), (stat.czxid, hash(data),
                                              stat.mzxid)


class Properties(RawProperties, Mapping):
    """A node's properties, with linked properties under their own names.

    Raises `BadPropertyLink` when a property is read whose link leads
    nowhere, and when such a link is written.
    """

    def __init__(self, dispatcher: WatchDispatcher, path: str, watch: bool,
                 write: Callable[[str, bytes, int], ZnodeStat]) -> None:
        self._write = write
        self._targets: dict[str, RawProperties] = {}
        self._reported: frozenset[str] = frozenset()
        super().__init__(dispatcher, path, watch)

    # Reading

    def __getitem__(self, name: str) -> Any:
        return self._get(self.data, name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(
            name.removesuffix(ARROW) for name in self.data))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        data = self.data
        return name in data or f'{name}{ARROW}' in data

    def __eq__(self, other: object) -> bool:
        # Sets, WeakSet too, compare their elements with this object: that
        # must not raise BadPropertyLink.
        return self is other or Mapping.__eq__(self, other)

    __hash__ = NodeView.__hash__

    def copy(self) -> Data:
        """Return the node's own properties as a dictionary, with its links."""
        return self.data.copy()

    # Writing

    def set(self, data: Mapping[str, Any] | Iterable[Any] | None = None,
            **properties: Any) -> None:
        """Replace all properties by those of `data` and `properties`.

        Raises `BadPropertyLink`, or NoNodeError if the node is deleted.
        """
        new = dict(data or {}) | properties
        self._check(new, new)
        self._write_data(new, -1)

    def update(self, data: Mapping[str, Any] | Iterable[Any] | None = None,
               **properties: Any) -> None:
        """Change properties; other properties stay as they are in ZooKeeper.

        Raises `BadPropertyLink`, or NoNodeError if the node is deleted.
        """
        changes = dict(data or {}) | properties
        while True:
            now, stat = self._dispatcher.get(self._written_path(), False)
            new = decode(now, self.real_path) | changes
            self._check(new, changes)
            try:
                return self._write_data(new, stat.version)
            except BadVersionError:
                continue  # another client was faster

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def _write_data(self, data: Data, version: int) -> None:
        stat = self._write(self._written_path(), encode(data), version)
        with self._lock:
            if stat.mzxid > self._mzxid():
                # Show the change at once; its event calls the callbacks.
                self._set_data(data)

    def _written_path(self) -> str:
        if self.deleted:
            raise NoNodeError(self.path)
        return self.real_path

    def _mzxid(self) -> int:
        return self._version[-1] if self._version else 0

    # Links

    def _get(self, data: Data, name: str) -> Any:
        if name in data:
            return data[name]
        link = data.get(name + ARROW)
        if link is None:
            raise KeyError(name)
        try:
            return self._follow(name, link)[0]
        except ConnectionClosedError:
            raise
        except LINK_ERRORS as error:
            raise BadPropertyLink(self.path, name, link,
                                  _reason(error)) from error

    def _follow(self, name: str, link: Any) -> tuple[Any, Paths]:
        """Return the linked value, and the paths of the nodes on the way."""
        base = self.real_path
        steps = [f'{base} {name}']
        used = set()
        while True:
            path, name = _parse(base, name, link)
            steps.append(f'{path} {name}')
            if steps[-1] in steps[:-1]:
                raise LinkLoop(steps)
            used.add(path)
            target = self._target(path)
            if name in target.data:
                return target.data[name], used
            if name + ARROW not in target.data:
                raise LookupError(f'{path} has no property {name}')
            base, link = target.real_path, target.data[name + ARROW]

    def _target(self, path: str) -> RawProperties:
        target = self._targets.get(path)
        if target is None:
            target = RawProperties(self._dispatcher, path, self.watch,
                                   required=False)
            if self.watch:
                target.callbacks.append(_make_callback(self))
            self._targets[path] = target
        if target.deleted:
            raise NoNodeError(path)
        return target

    def _set_data(self, data: Data) -> None:
        super()._set_data(data)
        self._watch_links()

    def _watch_links(self) -> None:
        """Watch the nodes to which the links lead, and no other nodes."""
        used: Paths = set()
        problems = set()
        for name in self:
            if name not in self.data:
                link = self.data[name + ARROW]
                try:
                    used |= self._follow(name, link)[1]
                except ConnectionClosedError:
                    raise
                except LINK_ERRORS as error:
                    used.update(self._targets)
                    problems.add(str(BadPropertyLink(
                        self.path, name, link, _reason(error))))
        for path in set(self._targets) - used:
            del self._targets[path]
        for problem in sorted(problems - self._reported):
            logger.error('Bad property link: %s', problem)
        self._reported = frozenset(problems)

    def _target_changed(self) -> None:
        with self._lock:
            self._watch_links()
        self._notify()

    def _check(self, new: Data, names: Iterable[str]) -> None:
        """Raise BadPropertyLink if a new link leads nowhere."""
        for name in names:
            if name.endswith(ARROW):
                self._get(new, name.removesuffix(ARROW))


def _parse(base: str, name: str, link: Any) -> tuple[str, str]:
    """Return the path and the property to which a link in `base` leads."""
    words = link.split() if isinstance(link, str) else []
    if not 1 <= len(words) <= 2:
        raise ValueError('a link is a path and, optionally, a name')
    return relative_to(base, words[0]), words[1] if words[1:] else name


def _make_callback(properties: Properties) -> Callable[..., None]:
    """Return a callback that refers to `properties` weakly."""
    reference = weakref.ref(properties)

    def tell(target: RawProperties | None = None) -> None:
        properties = reference()
        if properties is None:
            raise CancelWatch
        properties._dispatcher.run(properties, properties._target_changed)

    return tell


def _reason(error: Exception) -> str:
    if isinstance(error, NoNodeError):
        return f'there is no node {error}'
    return str(error) or type(error).__name__
