"""Make a folder with bin/buildout, in which a text's shell examples run.

In a checkout that buildout has set up, its eggs are used, and scripts get
their paths from real requirements; elsewhere the eggs of a `Store`.
"""
from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from zc.zkzopeserver import locks
from zkzopeserver_support.recipe_sandbox import Store
from zkzopeserver_support.shell_examples import Session

ROOT = Path(__file__).parents[2]

# What a reader has and the session has not: the checkout beside the folder.
# Its distributions are there without being developed again.
CHECKOUT = '''\
extends = ../zc.zkzopeserver/versions.cfg
develop =
    ../zc.zkzopeserver
    ../zc.zkzopeserver/zope.server
    ../zc.zkzopeserver/zc.zk
    ../zc.zkzopeserver/zc.monitor
'''

BUILDOUT = '''\
#!{python}
import sys
sys.path[:0] = {path!r}
import warnings
warnings.simplefilter('ignore')
import zc.buildout.buildout
sys.exit(zc.buildout.buildout.main(sys.argv[1:]))
'''

# The settings of the user, which the texts do not mention.  `offline` is not
# among them, as buildout 6.0.1 then does not find its own eggs; the index is
# an address that refuses, so that nothing comes from a network.
DEFAULTS = '''\
[buildout]
newest = false
index = http://127.0.0.1:9/
develop-eggs-directory = {develop_eggs}
eggs-directory = {eggs}
'''


@contextlib.contextmanager
def session(folder: Path, zookeeper: str) -> Iterator[Session]:
    """Yield a session in which ``127.0.0.1:2181`` is the given ZooKeeper."""
    root = folder / 'sample'
    (root / 'bin').mkdir(parents=True)
    with distributions(folder) as (develop_eggs, eggs, path):
        script = root / 'bin' / 'buildout'
        script.write_text(BUILDOUT.format(python=sys.executable, path=path))
        script.chmod(0o755)
        defaults = folder / 'home' / '.buildout' / 'default.cfg'
        defaults.parent.mkdir(parents=True)
        defaults.write_text(DEFAULTS.format(develop_eggs=develop_eggs,
                                            eggs=eggs))
        environ = {**os.environ, 'HOME': str(folder / 'home'),
                   'LC_ALL': 'C.UTF-8'}
        # The scripts must find their eggs by themselves.
        environ.pop('PYTHONPATH', None)
        try:
            yield Session(root, environ, {'127.0.0.1:2181': zookeeper})
        finally:
            stop_all(root)


@contextlib.contextmanager
def distributions(folder: Path) -> Iterator[tuple[Path, Path, list[str]]]:
    """Yield (develop-eggs folder, eggs folder, buildout's sys.path)."""
    own = ROOT / 'develop-eggs', ROOT / 'eggs'
    if all(each.is_dir() for each in own):
        yield (*own, [])
        return
    with contextlib.closing(Store(folder / 'store')) as store:
        yield store.develop_eggs, store.eggs, [
            str(store.develop_eggs),
            *(each for each in sys.path if each and os.path.isdir(each))]


def stop_all(root: Path) -> None:
    """Kill the servers that a failed example has left.

    Not by the number in a pid file, which may be that of any process.
    """
    for path in root.rglob('*.pid'):
        with contextlib.suppress(OSError), path.open('rb') as file:
            pid = locks.record_holder(file.fileno())
            if pid and pid > 1 and locks.has_open(pid, file.fileno()):
                os.kill(pid, signal.SIGKILL)
