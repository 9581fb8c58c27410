"""One server: what its ini says."""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from zc.zkzopeserver import options as server_options
from zc.zkzopeserver.recipe import ini
from zc.zkzopeserver.recipe import section

SERVER = 'egg:zc.zkzopeserver'


def application(values: Mapping[str, Any]) -> list[ini.Section]:
    """The sections of the application, none with verbatim text."""
    if not values['app']:
        return []
    return [('app:main', {'use': values['app'], **values['app-options']})]


def sections(values: Mapping[str, Any],
             server: Mapping[str, str]) -> list[ini.Section]:
    """The sections of the ini, the server last."""
    return [*application(values),
            ('server:main', {'use': SERVER, **server})]


def problems(raw: Mapping[str, str], values: Mapping[str, Any],
             server: Mapping[str, str]) -> list[str]:
    """What is wrong with a section, all of it."""
    return [*_application(raw, values),
            *server_options.check(server)[1],
            *_unwritable(sections(values, server)),
            *_carriage_returns(raw)]


def _application(raw: Mapping[str, str],
                 values: Mapping[str, Any]) -> Iterator[str]:
    if 'app' in raw and 'ini' in raw:
        yield "options 'app' and 'ini' exclude each other"
    elif 'app' not in raw and 'ini' not in raw:
        yield (f"option 'app' is required: {section.BY_NAME['app'].meaning}"
               " (or 'ini', with the application sections themselves)")
    if 'ini' in raw and 'app-options' in raw:
        yield ("option 'app-options' goes with 'app'; with 'ini' they stand"
               " there")
    if 'use' in values['app-options']:
        yield "option 'app-options' takes no 'use', which is the option 'app'"


def _unwritable(wanted: Iterable[ini.Section]) -> Iterator[str]:
    for name, values in wanted:
        for key, value in values.items():
            if problem := ini.unwritable(key, value):
                yield f'option {key!r} of [{name}] has {problem}'


def _carriage_returns(raw: Mapping[str, str]) -> Iterator[str]:
    if '\r' in raw.get('ini', ''):
        yield "option 'ini' has a carriage return, which an ini cannot hold"
