"""What a file or a proxy is to have: services, and the servers of each.

Everything here is checked: whatever a format writes, it writes from these
values. They can stand in any of the formats as they are.
"""
from __future__ import annotations

import re
from dataclasses import dataclass

from zc.zk.servers.server import Server

#: The greatest weight: that of HAProxy, which has the smallest range.
MAX_WEIGHT = 256

_is_name = re.compile('[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}').fullmatch


class Target(Server):
    """A server to send requests to.

    `host` is an IP address in its canonical form, never a host name: nginx
    refuses its whole configuration for a name that does not resolve, Envoy
    refuses all names, and HAProxy never resolves the names of servers that
    are added at run time.
    """

    @property
    def identifier(self) -> str:
        """The address in letters, digits, ``.``, ``:`` and ``_``."""
        return self.address.translate(_NO_BRACKETS)

    @property
    def weight(self) -> int:
        """The property `weight`; 1 for what is no number from 0 to 256."""
        weight = self.properties.get('weight')
        if (isinstance(weight, int) and not isinstance(weight, bool)
                and 0 <= weight <= MAX_WEIGHT):
            return weight
        return 1


_NO_BRACKETS = str.maketrans('[]', '__')


@dataclass(frozen=True)
class Upstream:
    """A service: its name in the configuration, and its servers.

    `path` is the path as given. `stale_since` is None, or the time since when
    it is not known whether these are the servers.
    """

    name: str
    path: str
    targets: tuple[Target, ...]
    stale_since: float | None = None


def check_name(name: str) -> str:
    """Return a name that can stand in every format; else raise ValueError."""
    if not _is_name(name):
        raise ValueError(
            f'{name!r} cannot name a service: 1 to 100 letters, digits, '
            '_, . and - are allowed')
    return name
