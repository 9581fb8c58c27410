"""Write units of systemd (systemd.service(5), systemd.exec(5))."""
from __future__ import annotations

import os
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

from zc.zkzopeserver.options import Options
from zc.zkzopeserver.recipe.layout import Layout

# Seconds for a stop beyond the times that the options give.
MARGIN_S = 10

# Seconds between an end and the next start.  systemd goes on without end, as
# ZooKeeper or a database may be away for longer than any number of attempts.
RESTART_S = 5

# Seconds after which systemd replaces a server that no longer reports.
WATCHDOG_S = 30

# Descriptors for a connection: its socket, its request and its response in
# files, and a file or a connection of the application's; and those of the
# process itself.
FILES_A_CONNECTION = 4
OTHER_FILES = 1024

# systemd's default for the hard limit, up to which an application may go.
MOST_FILES = 524288

# What a web server does not need, as systemd.exec(5) describes.
HARDENING = """\
NoNewPrivileges=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectSystem=full
ProtectControlGroups=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
UMask=0027
"""

# What ProtectSystem=full makes read-only.
READ_ONLY = '/usr/', '/boot/', '/efi/', '/etc/'


def unit(description: str, script: str, layout: Layout, user: str,
         environment: Mapping[str, str], options: Options | None,
         written: Iterable[str], more: Mapping[str, Sequence[str]]) -> str:
    """Return the text of a unit.

    `options` is None for another server than zc.zkzopeserver.  `written` are
    the files that the running server writes.  `more` has further lines of
    each section; they come last, as the last of two values counts.
    """
    return '\n'.join([
        '[Unit]', f'Description={_value(description)}',
        'Wants=network-online.target',
        # On a machine with a ZooKeeper of its own, start after that.
        'After=network-online.target zookeeper.service',
        'StartLimitIntervalSec=0', *more.get('Unit', ()), '',
        '[Service]', *_service(script, layout, user, options),
        *(f'Environment={_quoted(f"{name}={value}")}'
          for name, value in environment.items()),
        HARDENING.rstrip(), *_writable(written), *more.get('Service', ()), '',
        '[Install]', 'WantedBy=multi-user.target', *more.get('Install', ()),
        ''])


# Seconds after which systemd replaces a follower that no longer reports: more
# than a check of the configuration, a reload and the look at it may take.
FOLLOWER_WATCHDOG_S = 120


def follower(description: str, script: str, user: str, written: Iterable[str],
             more: Mapping[str, Sequence[str]]) -> str:
    """Return the text of a unit for ``zookeeper_follow``.

    It may start for as long as ZooKeeper is away, and keeps its capabilities,
    which checks and reloads of a proxy need. See `unit` for the parameters.
    """
    return '\n'.join([
        '[Unit]', f'Description={_value(description)}',
        'Wants=network-online.target',
        'After=network-online.target zookeeper.service',
        'StartLimitIntervalSec=0', *more.get('Unit', ()), '',
        '[Service]', 'Type=notify', 'NotifyAccess=main',
        *([f'User={_value(user)}'] if user else []),
        f'ExecStart={_quoted(script, command=True)}',
        'KillMode=mixed', 'Restart=on-failure', f'RestartSec={RESTART_S}',
        'RestartPreventExitStatus=2', 'TimeoutStartSec=infinity',
        f'WatchdogSec={FOLLOWER_WATCHDOG_S}',
        HARDENING.rstrip(), *_writable(written), *more.get('Service', ()), '',
        '[Install]', 'WantedBy=multi-user.target', *more.get('Install', ()),
        ''])


def _service(script: str, layout: Layout, user: str,
             options: Options | None) -> Iterator[str]:
    yield 'Type=notify' if options else 'Type=exec'
    if options:
        # The parent of the workers notifies systemd for them.
        yield 'NotifyAccess=main'
    if user:
        yield f'User={_value(user)}'
    yield f'ExecStart={_quoted(script, command=True)}'
    if options:
        # What a crash has left in ZooKeeper goes before the restart.  The
        # minus sign: its failure is none of the service.
        yield f'ExecStopPost=-{_quoted(script, command=True)} forget'
    if options and options.workers > 1:
        # A single process cannot be replaced without a gap; it ignores SIGHUP
        # and writes a line to its log.
        yield 'ExecReload=/bin/kill -HUP $MAINPID'
    yield 'KillMode=mixed'
    yield 'Restart=on-failure'
    yield f'RestartSec={RESTART_S}'
    if options:
        # A wrong option stays wrong until a person has mended it.
        yield 'RestartPreventExitStatus=2'
        yield f'WatchdogSec={WATCHDOG_S}'
        files = FILES_A_CONNECTION * options.connection_limit + OTHER_FILES
        yield f'LimitNOFILE={files}:{max(files, MOST_FILES)}'
        yield f'TimeoutStartSec={_start_time(options)}'
        stop = options.deregister_wait + options.graceful_timeout + MARGIN_S
        yield f'TimeoutStopSec={stop:g}'
    yield from _run_directory(layout.run)
    if options and 0 < options.port < 1024:
        yield 'AmbientCapabilities=CAP_NET_BIND_SERVICE'
        yield 'CapabilityBoundingSet=CAP_NET_BIND_SERVICE'
    else:
        yield 'CapabilityBoundingSet='


def _start_time(options: Options) -> str:
    if options.wait != 'fail':
        return 'infinity'
    return f'{options.ready_timeout + 3 * MARGIN_S:g}'


def _run_directory(run: str) -> Iterator[str]:
    """Yield what makes the directory in /run, which is empty after a boot."""
    for start in '/run/', '/var/run/':
        if run.startswith(start):
            yield f'RuntimeDirectory={_quoted(run.removeprefix(start))}'
            yield 'RuntimeDirectoryMode=0750'
            yield 'RuntimeDirectoryPreserve=yes'


def _writable(written: Iterable[str]) -> Iterator[str]:
    """Yield the directories that ProtectSystem must not make read-only."""
    for directory in dict.fromkeys(map(os.path.dirname, written)):
        if directory.startswith(READ_ONLY):
            # The minus sign: the directory may be missing.
            yield f'ReadWritePaths={_quoted("-" + directory)}'


def _value(text: str) -> str:
    """Return a text for a unit, where ``%`` starts a specifier."""
    return ' '.join(text.split()).replace('%', '%%')


def _quoted(text: str, command: bool = False) -> str:
    """Return a word for a unit, in quotes if it needs them."""
    text = text.replace('%', '%%')
    if command:
        text = text.replace('$', '$$')
    if text and not set(text) & set(' \t\n"\'\\'):
        return text
    for sign, escaped in (('\\', '\\\\'), ('"', '\\"'), ('\n', '\\n'),
                          ('\t', '\\t')):
        text = text.replace(sign, escaped)
    return f'"{text}"'
