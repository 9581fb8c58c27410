"""A Debian with systemd in a folder, booted by systemd-nspawn(1).

Needs root, and the Debian packages debootstrap and systemd-container.
"""
from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ('systemd,systemd-sysv,dbus,python3,python3-venv,logrotate,'
            'init-system-helpers,procps,iproute2,haproxy,openssl')
NSPAWN = ('systemd-nspawn', '--quiet', '--keep-unit', '--register=no',
          '--private-network')

# What the deployment in the machine needs besides our distributions.
WANTED = 'zc.buildout', 'zc.recipe.egg', 'zc.recipe.deployment', 'wheel'

BOOT_S = 120


class Machine:
    """A machine in the folder `place`; `make` makes it, `booted` runs it."""

    def __init__(self, place: Path, suite: str = 'bookworm') -> None:
        self.base = place / f'{suite}-base'
        self.root = place / 'root'
        self.wheels = place / 'wheels'
        self.suite = suite
        self.log = place / 'console.log'
        self._leader = 0

    def make(self) -> None:
        """Make the machine anew, from a base that is kept."""
        if not (self.base / 'etc/debian_version').exists():
            shutil.rmtree(self.base, ignore_errors=True)
            call('debootstrap', '--variant=minbase', f'--include={PACKAGES}',
                 self.suite, self.base)
        shutil.rmtree(self.root, ignore_errors=True)
        call('cp', '-a', '--reflink=auto', self.base, self.root)
        self._make_wheels()
        shutil.copytree(self.wheels, self.root / 'wheels')
        (self.root / 'etc/hostname').write_text('machine\n')
        self.inside('python3', '-m', 'venv', '/srv/shop/.venv')
        self.inside('/srv/shop/.venv/bin/pip', 'install', '--quiet',
                    '--no-index', '--find-links=/wheels',
                    'zc.zkzopeserver[daemon,loggers,monitor]', *WANTED)

    def _make_wheels(self) -> None:
        """Make wheels of this checkout, and get those that it needs.

        This Python makes them, so that it must be as new as the machine's.
        """
        have = f'python3.{sys.version_info[1]}'
        if not (self.base / 'usr/bin' / have).exists():
            sys.exit(f'run this with the Python of {self.suite}: {have} is'
                     ' another')
        shutil.rmtree(self.wheels, ignore_errors=True)
        pins = self.base.parent / 'constraints.txt'
        pins.write_text(''.join(
            line.replace(' = ', '==') for line in
            (ROOT / 'versions.cfg').read_text().splitlines(keepends=True)
            if ' = ' in line))
        call(sys.executable, '-m', 'pip', 'wheel', '--quiet',
             '--wheel-dir', self.wheels, '--constraint', pins,
             f'{ROOT}[daemon,loggers,monitor]',
             *(ROOT / name for name in ('zope.server', 'zc.zk', 'zc.monitor')),
             *WANTED, 'setuptools', 'pip')

    def inside(self, *command: object) -> str:
        """Run a command in the machine, which is not booted."""
        return output(*NSPAWN, '-D', self.root, '--pipe', *command)

    @contextlib.contextmanager
    def booted(self) -> Iterator[None]:
        """Boot the machine; power it off at the end."""
        with open(self.log, 'ab') as log, subprocess.Popen(
                [*NSPAWN, '-D', str(self.root), '--boot'], stdout=log,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.STDOUT) as nspawn:
            try:
                self._leader = wait_for(lambda: leader(nspawn.pid), BOOT_S,
                                        'no process 1')
                wait_for(lambda: self.run(
                    'systemctl', 'is-system-running', check=False).strip()
                    in ('running', 'degraded'), BOOT_S, 'it does not boot')
                yield
            finally:
                # SIGRTMIN+4 is poweroff.target to systemd(1).
                if self._leader:
                    os.kill(self._leader, signal.SIGRTMIN + 4)
                try:
                    nspawn.wait(BOOT_S)
                except subprocess.TimeoutExpired:
                    nspawn.kill()
                self._leader = 0

    def run(self, *command: object, check: bool = True) -> str:
        """Run a command in the booted machine; return what it prints."""
        return output('nsenter', '-t', self._leader, '-a', *command,
                      check=check)

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file of the machine."""
        place = self.root / path.lstrip('/')
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)

    def read(self, path: str) -> str:
        """Return the text of a file of the machine."""
        return (self.root / path.lstrip('/')).read_text()

    def shown(self, unit: str) -> dict[str, str]:
        """Return the properties of a unit."""
        return dict(line.partition('=')[::2] for line in
                    self.run('systemctl', 'show', unit).splitlines())


def leader(nspawn: int) -> int:
    """Return the pid of the machine's process 1, 0 if there is none yet."""
    children = Path(f'/proc/{nspawn}/task/{nspawn}/children').read_text()
    for pid in map(int, children.split()):
        with contextlib.suppress(OSError):
            if Path(f'/proc/{pid}/comm').read_text() == 'systemd\n':
                return pid
    return 0


def wait_for(condition: Callable[[], object], timeout_s: float,
             problem: str) -> object:
    """Wait until the condition is true; return it; SystemExit if not."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise SystemExit(f'{problem} within {timeout_s:g} s')
        time.sleep(0.1)
    return found


def call(*command: object) -> None:
    """Run a command, with what it prints on stderr."""
    print('$', *command, file=sys.stderr, flush=True)
    subprocess.run(list(map(str, command)), check=True, stdout=sys.stderr)


def output(*command: object, check: bool = True) -> str:
    """Run a command; return what it prints."""
    done = subprocess.run(list(map(str, command)), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, timeout=600)
    if check and done.returncode:
        raise SystemExit(f'{" ".join(map(str, command))}: status'
                         f' {done.returncode}\n{done.stdout}')
    return done.stdout
