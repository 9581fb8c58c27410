"""Event notification: zope.event where it is installed, else our own.

``notify(event)`` calls every subscriber, a callable in the list
``subscribers``, with the event. An application may replace ``notify``.
"""
from typing import Any

try:
    from zope.event import notify
    from zope.event import subscribers
except ImportError:
    subscribers: list[Any] = []

    def notify(event: object) -> None:
        """Call every subscriber with the event."""
        for subscriber in list(subscribers):
            subscriber(event)

__all__ = ['notify', 'subscribers']
