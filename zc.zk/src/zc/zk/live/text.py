"""Events as lines for people, and as objects for programs."""
from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from zc.zk.live.events import REPLACED
from zc.zk.live.events import Event
from zc.zk.printable import printable
from zc.zk.redaction import redact_value
from zc.zk.sync.change import ADD_NODE
from zc.zk.sync.change import DELETE_NODE
from zc.zk.sync.change import Change

#: Shows the value of a property by its name and the value.
Show = Callable[[str, Any], Any]

_VERBS = {ADD_NODE: 'added', DELETE_NODE: 'deleted', REPLACED: 'replaced'}

#: The most characters of a line, before what is escaped.
LINE = 10_000

_UNITS = (('d', 86400), ('h', 3600), ('min', 60), ('s', 1))


def line(event: Event, now: float, show: Show = redact_value) -> str:
    """Return a line for people: when, where, and what happened.

    `now` is in seconds since the epoch, and is told in local time. `show`
    returns what is shown of a property; by default secrets are masked.
    """
    if event.change is not None and event.kind not in _VERBS:
        return note(str(shown_change(event.change, show)), now)
    facts = []
    if event.session is not None:
        facts.append(f'session {event.session:#x}')
    age_s = event.age_s(now)
    if event.kind == DELETE_NODE:
        if age_s is not None:
            facts.append(f'after {duration(age_s)}')
    else:
        facts += [f'{name} {show(name, value)}' if name[-1:] == '>' else
                  f'{name} = {show(name, value)!r}'
                  for name, value in sorted(event.node.properties.items())]
    return note(f'{event.path} {_VERBS[event.kind]}'
                + (f' ({", ".join(facts)})' if facts else ''), now)


def note(text: str, now: float) -> str:
    """Return a line for people: a time, in seconds since the epoch, and text.

    The time is told in local time.
    """
    when = datetime.datetime.fromtimestamp(now).isoformat(
        ' ', timespec='milliseconds')
    return printable(f'{when} {text}', LINE)


def as_json(event: Event, now: float, show: Show = redact_value
            ) -> dict[str, Any]:
    """Return an object for `json`.

    Keys: ``time`` (ISO 8601, UTC), those of `Change.as_json`, and, where
    they are known, ``session`` (hexadecimal) and ``age`` (seconds since the
    node was made).
    """
    told: dict[str, Any] = {'time': utc(now)}
    if event.change is None:
        told |= {'kind': event.kind, 'path': event.path}
    else:
        told |= shown_change(event.change, show).as_json()
    if event.kind in (DELETE_NODE, REPLACED):
        told['properties'] = _masked(event.node.properties, show)
    if event.session is not None:
        told['session'] = f'{event.session:#x}'
    age_s = event.age_s(now)
    if age_s is not None:
        told['age'] = round(age_s, 3)
    return told


def utc(now: float) -> str:
    """Return a time, in seconds since the epoch, as ISO 8601 in UTC."""
    return datetime.datetime.fromtimestamp(
        now, datetime.timezone.utc).isoformat(
            timespec='milliseconds').replace('+00:00', 'Z')


def duration(seconds: float) -> str:
    """Return a duration for people: its two largest units."""
    rest = int(seconds)
    parts: list[str] = []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count or parts or unit == 's':
            parts.append(f'{count} {unit}')
    return ' '.join(part for part in parts[:2]
                    if part[0] != '0' or len(parts) == 1)


def shown_change(change: Change, show: Show) -> Change:
    """Return a change whose properties are as `show` returns them."""
    if change.name is not None:
        return change._replace(old=show(change.name, change.old),
                               new=show(change.name, change.new))
    if change.properties is not None:
        return change._replace(properties=_masked(change.properties, show))
    return change


def _masked(properties: dict[str, Any], show: Show) -> dict[str, Any]:
    return {name: show(name, value) for name, value in properties.items()}
