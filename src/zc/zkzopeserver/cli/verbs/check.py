"""``check``: find out whether the server would serve, without serving."""
from __future__ import annotations

import argparse
import errno
import importlib.util
import os
import socket
import stat
import sys
from collections.abc import Callable
from collections.abc import Iterator

from zc.zkzopeserver import logconfig
from zc.zkzopeserver import options as option_table
from zc.zkzopeserver.cli import survey
from zc.zkzopeserver.cli.ini import Ini
from zc.zkzopeserver.cli.ini import described
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.providers import Providers
from zc.zkzopeserver.cli.verbs import Verb
from zc.zkzopeserver.errors import StartError
from zc.zkzopeserver.hooks import ExitHook
from zc.zkzopeserver.hooks import ServiceHooks
from zc.zkzopeserver.options import Options
from zc.zkzopeserver.registration import ServiceRegistration

DESCRIPTION = """\
Check the ini, load the application, check that its address can be listened
on, that ZooKeeper can be reached, that the path is there, and that this user
may create and delete nodes there, without serving.  No node is created: the
rights are asked for in a transaction that cannot succeed.  The log files that
`loggers` or [loggers] names are opened."""

STATUSES = """\
exit status: 0 all is well; 1 the application cannot be loaded, or another
error; 2 an option, an address or a file is wrong; 3 ZooKeeper cannot be
reached, or the path is not there or must not be written.  Of several
statuses, 2 comes before 3 before 1."""

ERROR, WRONG, ZOOKEEPER = 1, 2, 3

# The longest path of a unix socket, in bytes: unix(7), less the final null.
LONGEST_PATH = 107

# How long a connection to a unix socket may take.
CONNECT_S = 1.0

# (exit status, sentence)
Problem = tuple[int, str]


def run(instance: Instance, arguments: argparse.Namespace) -> int:
    """Check everything; return the exit status.

    Prints a line for each check and each problem.
    """
    ini = Ini(instance)
    problems: list[Problem] = []
    for what, check in checks(ini, instance):
        new = list(check())
        problems += new
        print(f'{instance.name}: {what}: ' + ('wrong' if new else 'ok'),
              flush=True)
        for _, problem in new:
            for line in problem.split('\n'):
                print(f'{instance.name}: {line}', file=sys.stderr)
    statuses = {status for status, _ in problems}
    return next((status for status in (WRONG, ZOOKEEPER, ERROR)
                 if status in statuses), 0)


def checks(ini: Ini, instance: Instance
           ) -> Iterator[tuple[str, Callable[[], Iterator[Problem]]]]:
    """Yield (name of a check, function that yields its problems).

    Those that need the options come only when the options are right.
    """
    yield 'application', lambda: application(ini)
    if not ini.is_ours:
        return
    values, wrong = option_table.check(ini.options)
    yield 'options', lambda: iter(
        [(WRONG, f'{ini.where}: {problem}') for problem in wrong])
    if not wrong:
        options = Options(values)
        yield 'files', lambda: files(options)
        yield 'address', lambda: address(options, instance)
        if options.monitor_server is not None and not missing('zc.monitor'):
            yield 'monitor', lambda: monitor(options, instance)
        if options.metrics is not None:
            yield 'metrics', lambda: metrics(options, instance)
        yield 'loggers', lambda: loggers(ini, options)
        yield 'ZooKeeper', lambda: zookeeper(options)


def application(ini: Ini) -> Iterator[Problem]:
    """Load the application; yield its exception, and where it was raised."""
    try:
        ini.application()
    except StartError as error:
        yield error.exit_status, str(error)
    except Exception as error:  # noqa: BLE001 (the application's own code)
        yield ERROR, f'the application cannot be loaded: {described(error)}'


def files(options: Options) -> Iterator[Problem]:
    """Check files and functions of options, and optional distributions."""
    yield from attempted(lambda: ServiceRegistration(options))
    yield from attempted(lambda: ServiceHooks(options))
    yield from attempted(lambda: ExitHook(options.worker_exit))
    if options.monitor_server is not None and missing('zc.monitor'):
        yield WRONG, ("option 'monitor_server' needs the zc.monitor"
                      ' distribution; add zc.zkzopeserver[monitor] to the'
                      ' eggs')
    path = options.access_log
    if path is not None and path != '-':
        if reason := unwritable(path):
            yield WRONG, f"option 'access_log': cannot write {path}: {reason}"


def unwritable(path: str) -> str | None:
    """Return why a file cannot be written; None if it can.

    One that is not there is not made.
    """
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path):
        return 'it is a directory'
    if not os.path.isdir(folder):
        return f'there is no directory {folder}'
    if not os.access(path if os.path.exists(path) else folder, os.W_OK):
        return 'not allowed'
    return None


def missing(name: str) -> bool:
    """Return whether there is no module of this name."""
    try:
        return importlib.util.find_spec(name) is None
    except ModuleNotFoundError:
        return True


def address(options: Options, instance: Instance) -> Iterator[Problem]:
    """Check that the address can be listened on.

    When the server runs, it has the port: then only the host is checked.
    """
    try:
        process = survey.find(instance)
    except StartError as error:
        # Something runs: which ports are its own cannot be told.
        yield error.exit_status, str(error)
        return
    port = 0 if process.pid is not None else options.port
    yield from listening(options.host or '0.0.0.0', port,
                         f'{options.host or "*"}:{options.port}')


def listening(host: str, port: int, where: str) -> Iterator[Problem]:
    """Check that an address can be listened on by TCP."""
    try:
        family, kind, _, _, sockaddr = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(sockaddr)
            # Only this fails where another socket with SO_REUSEADDR listens.
            sock.listen(1)
    except (OSError, UnicodeError) as error:
        text = getattr(error, 'strerror', None) or error
        yield WRONG, f'cannot listen on {where}: {text}'


def monitor(options: Options, instance: Instance) -> Iterator[Problem]:
    """Check that the monitor's address can be listened on.

    When the server runs, it has the address: then a port and a socket are
    not tried.
    """
    where = options.monitor_server
    if isinstance(where, tuple):
        yield from port_of('monitor_server', where, instance)
    elif where is not None:
        yield from [(WRONG, f"option 'monitor_server': {problem}")
                    for problem in unix_socket(where, runs(instance))]


def metrics(options: Options, instance: Instance) -> Iterator[Problem]:
    """Check that the address of `metrics` can be listened on."""
    if options.metrics is not None:
        yield from port_of('metrics', options.metrics, instance)


def port_of(option: str, address: tuple[str, int],
            instance: Instance) -> Iterator[Problem]:
    """Check the address of an option; not the port, if the server runs."""
    host, port = address
    for status, problem in listening(
            host or '0.0.0.0', 0 if runs(instance) else port,
            f'{host or "*"}:{port}'):
        yield status, f'option {option!r}: {problem}'


def runs(instance: Instance) -> bool:
    """Return whether the server runs, or may run."""
    return bool(list(attempted(lambda: survey.find(instance)))
                or survey.find(instance).pid is not None)


def unix_socket(path: str, is_running: bool) -> Iterator[str]:
    """Yield why a unix socket cannot be made at `path`."""
    folder = os.path.dirname(os.path.abspath(path))
    if len(os.fsencode(path)) > LONGEST_PATH:
        yield (f'{path}: too long for a socket, of which the path has at most'
               f' {LONGEST_PATH} bytes')
    elif not os.path.isdir(folder):
        yield f'{folder}: there is no such directory'
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield f'{folder}: not allowed to write there'
    elif os.path.lexists(path) and not is_running:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            yield f'{path}: it is there, and is no socket'
        elif accepts(path):
            yield f'{path}: another process listens there'


def accepts(path: str) -> bool:
    """Return whether a process listens on a unix socket."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(CONNECT_S)
        try:
            sock.connect(path)
        except OSError as error:
            return error.errno not in (errno.ECONNREFUSED, errno.ENOENT)
    return True


def loggers(ini: Ini, options: Options) -> Iterator[Problem]:
    """Configure logging as the server would."""
    if options.loggers is None and ini.has_logging:
        yield from attempted(lambda: logconfig.configure_ini(
            ini.path, ini.variables))
    yield from attempted(lambda: logconfig.configure(options.loggers))


def zookeeper(options: Options) -> Iterator[Problem]:
    """Check that ZooKeeper answers, the path is there, and our rights."""
    def look() -> Iterator[str]:
        with Providers(options) as providers:
            yield from providers.missing_rights()

    try:
        for problem in look():
            yield ZOOKEEPER, problem
    except StartError as error:
        yield error.exit_status, str(error)


def attempted(call: Callable[[], object]) -> Iterator[Problem]:
    """Make a call; yield the StartError that it raises."""
    try:
        call()
    except StartError as error:
        yield error.exit_status, str(error)


CHECK = Verb(run, DESCRIPTION, STATUSES)
