"""The options of a buildout section: the recipe's own, and the server's.

The server's options come from the table in `zc.zkzopeserver.options` and pass
through.  The recipe's own options are declared here, in rows of the same kind.
"""
from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from zope.server.options import Option
from zope.server.values import InvalidValue
from zope.server.values import boolean
from zope.server.values import choice
from zope.server.values import line
from zope.server.values import seconds
from zope.server.values import shorten
from zope.server.values import unknown_option

from zc.zkzopeserver import options as server_options
from zc.zkzopeserver.recipe import values

# An unknown name that is closer than this to an option is taken for a slip
# (difflib.SequenceMatcher.ratio).
NEAR = 0.8

TRUTH = choice('true', 'false')

OWN: tuple[Option, ...] = (
    Option('app', values.factory, None,
           'the application: `egg:DIST#NAME` or `call:MODULE:FACTORY`'),
    Option('app-options', values.pairs, {},
           'options of the application, a `key = value` a line',
           default_label='none'),
    Option('filters', values.filters, [],
           'the filters in front of the application, the first one first:'
           ' `egg:DIST#NAME`, or `egg:DIST#NAME SECTION` with a section of'
           ' options',
           default_label='none'),
    Option('ini', values.verbatim, None,
           'instead of `app`: the application sections themselves, verbatim'),
    Option('global-options', values.pairs, {},
           'options for `[DEFAULT]` of the ini, a `key = value` a line',
           default_label='none'),
    Option('use-server', values.factory, None,
           'another server for PasteDeploy than zc.zkzopeserver:'
           ' `egg:DIST#NAME`'),
    Option('server-options', values.pairs, {},
           'options of the server that `use-server` names, a `key = value` a'
           ' line',
           default_label='none'),
    Option('deployment', line, None,
           'a section of zc.recipe.deployment: where files go, and which user'
           ' runs the server'),
    Option('instances', values.names, [],
           'names of several servers; `NAME.OPTION` is an option of one of'
           ' them, and `%(instance)s` in a value stands for the name',
           default_label='none'),
    Option('zookeeper-auth', values.credential, None,
           '`digest USER:PASSWORD`, written to a file of its own (0600) for'
           ' `zookeeper_auth_file`'),
    Option('environment-vars', values.environment, {},
           'environment variables, `NAME VALUE` or `NAME=VALUE` a line',
           default_label='none'),
    Option('daemon', boolean, None,
           'install zdaemon, which `bin/NAME start` needs',
           default_label='`true` without `systemd`'),
    Option('start-timeout', seconds(1, 86_400), None,
           'seconds that `bin/NAME start` waits for the server',
           default_label='chosen by the script'),
    Option('on-change', line, None,
           'a command to run when a file of the part has changed'),
    Option('stop-on-uninstall', boolean, False,
           'stop the server when its part is removed from the buildout'),
    Option('systemd', values.flag_or_directory, False,
           'write a unit: `true`, or the directory to write it to'),
    Option('systemd-unit', values.unit_lines, {},
           'further lines of the unit, those of `[Service]` first',
           default_label='none'),
    Option('logrotate', values.flag_or_text, False,
           'write a configuration of logrotate: `true`, or its directives'),
    Option('tree', values.verbatim, None,
           'the ZooKeeper nodes that the server needs, as a tree, or the name'
           ' of a file with the tree'),
    Option('eggs', values.paths, [],
           'distributions of the application, one a line; a distribution that'
           ' is named by `egg:` is added', default_label='none'),
    Option('scripts', values.verbatim, None,
           'console scripts of the eggs to make as well'),
    Option('interpreter', line, None,
           'the name of a Python interpreter with the eggs to make as well'),
    Option('arguments', values.verbatim, None,
           'further arguments of the call in the start script'),
    Option('initialization', values.verbatim, '',
           'Python code that the scripts run before they import anything',
           default_label='none'),
    Option('extra-paths', values.paths, [],
           'directories to add to `sys.path`, one a line',
           default_label='none'),
    Option('relative-paths', TRUTH, None,
           'make scripts and an ini that stay valid when the buildout is'
           ' moved',
           default_label='that of `[buildout]`'),
    Option('entry-points', values.verbatim, '',
           'further scripts to make, `NAME=MODULE:FUNCTION`',
           default_label='none'),
    Option('dependent-scripts', TRUTH, 'false',
           'make the console scripts of the distributions that the eggs'
           ' require as well'),
)

# Other options that zc.recipe.egg or buildout reads or sets.
KEPT = ('recipe', 'index', 'find-links', 'location', 'executable',
        'bin-directory', '_b', 'develop-eggs-directory', '_d',
        'eggs-directory', '_e', 'buildout-directory', '<part-dependencies>',
        '<', 'ini-file', 'script-file', 'script-files', 'pid-files')

# Options that all instances share.
COMMON = ('recipe', 'deployment', 'instances', 'on-change', 'interpreter',
          'scripts', 'entry-points', 'dependent-scripts', 'relative-paths',
          'tree', 'stop-on-uninstall')

# What stands for the name of an instance in a value.
INSTANCE = '%(instance)s'

BY_NAME = {option.name: option for option in OWN}
KNOWN = {**BY_NAME, **server_options.BY_NAME, **dict.fromkeys(KEPT)}


def known_options(options: Mapping[str, str]) -> dict[str, str]:
    """Return the options that are known, with those of the instances.

    Options of other names are not read, so that buildout warns of them.
    """
    return {name: options[name] for name in options
            if name in KNOWN or name.partition('.')[2] in KNOWN}


def options_of(raw: Mapping[str, str], instance: str) -> dict[str, str]:
    """Return the section's options as an instance has them.

    `INSTANCE` in a value stands for the instance's name.
    """
    own = {}
    for name, value in raw.items():
        owner, dot, key = name.partition('.')
        if dot and owner == instance:
            own[key] = value
    found = {**{name: value for name, value in raw.items()
                if '.' not in name}, **own}
    if instance not in raw.get('instances', '').split():
        return found
    return {name: value if name in COMMON
            else value.replace(INSTANCE, instance)
            for name, value in found.items()}


def check(raw: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Parse the recipe's own options; return (values by name, problems)."""
    values_by_name: dict[str, Any] = {}
    problems = []
    for option in OWN:
        values_by_name[option.name] = option.default
        if option.name not in raw:
            continue
        try:
            values_by_name[option.name] = option.parse(raw[option.name])
        except InvalidValue as allowed:
            problems.append(refusal(option.name, raw[option.name], allowed))
    return values_by_name, problems


def refusal(name: str, value: str, allowed: InvalidValue) -> str:
    """Return the problem of a value that a parser has refused."""
    if str(allowed).startswith(('`', 'each ')):
        return f'option {name!r} takes {allowed}'
    return f'option {name!r}: {shorten(value)} is not {allowed}'


def misspelled(names: Iterable[str], instances: Iterable[str]) -> list[str]:
    """Return a problem for each name that is nearly that of an option.

    Other unknown names are allowed: people keep values of their own in
    sections, and buildout itself warns of the ones that nothing reads.
    """
    problems: list[str] = []
    for name in names:
        owner, dot, key = name.partition('.')
        if dot and owner in instances:
            problems += _of_instance(name, key)
        elif dot and key in KNOWN:
            problems.append(f"option {name!r}: there is no {owner!r} in"
                            " 'instances'")
        else:
            problems += near_misses([name], KNOWN)
    return problems


def name_problems(name: str) -> list[str]:
    """Return the problems of a section's name, which files are named by."""
    if re.fullmatch(r'[A-Za-z0-9_][A-Za-z0-9_.-]*', name):
        return []
    return [f'the name of the section, {name!r}, becomes names of files: only'
            ' letters, digits, ., - and _ can be in it']


def near_misses(names: Iterable[str], known: Mapping[str, Any]) -> list[str]:
    """Return a problem for each name that is nearly one of `known`."""
    return [unknown_option(name, {near: None}) for name in names
            if name not in known and (near := _nearest(name, known))]


def _of_instance(name: str, key: str) -> Iterable[str]:
    if key in COMMON:
        yield f'option {name!r}: {key!r} is the same for all instances'
    elif key not in KNOWN:
        yield unknown_option(
            name, {name.removesuffix(key) + near: None}
            if (near := _nearest(key, KNOWN)) else KNOWN)


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    for other in known:
        if _flat(other) == _flat(name):
            return other
    near = difflib.get_close_matches(name, known, 1, NEAR)
    return near[0] if near else ''


def _flat(name: str) -> str:
    return re.sub('[-_ ]', '', name).lower()


def server_options_of(raw: Mapping[str, str]) -> dict[str, str]:
    """Return the options of a section that belong to the server."""
    return {name: raw[name] for name in server_options.BY_NAME if name in raw}
