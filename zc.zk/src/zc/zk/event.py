"""Events: `RegisteringServer`, and how it reaches subscribers.

`notify` calls each callable in the list `subscribers` with the event. Both
are those of zope.event where it is installed. An application may replace
`notify`.
"""
import os
from typing import Any

try:
    from zope.event import notify
    from zope.event import subscribers
except ImportError:
    subscribers = []

    def notify(event: object) -> None:
        """Call every subscriber with the event."""
        for subscriber in list(subscribers):
            subscriber(event)

__all__ = ['RegisteringServer', 'notify', 'registering_server', 'subscribers']


class RegisteringServer:
    """Event: a server is about to be registered.

    `name` is the address as the caller gave it. `path` is the path of the
    parent node, links followed. `properties` is the dictionary that becomes
    the data of the server's node; subscribers may change it.
    """

    def __init__(self, name: str, path: str,
                 properties: dict[str, Any]) -> None:
        self.name = name
        self.path = path
        self.properties = properties

    def __repr__(self) -> str:
        return (f'RegisteringServer({self.name!r}, {self.path!r}, '
                f'{self.properties!r})')


def registering_server(name: str, path: str,
                       properties: dict[str, Any]) -> RegisteringServer:
    """Return the event for a server of this process, with its `pid`."""
    return RegisteringServer(name, path, properties | {'pid': os.getpid()})
