"""The README: its examples run, its options are those of the table."""
import contextlib
import doctest
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from zc.zkzopeserver import options
from zc.zkzopeserver.tests.recipe_sandbox import Store
from zc.zkzopeserver.tests.shell_examples import Session
from zc.zkzopeserver.tests.shell_examples import blocks

ROOT = Path(options.__file__).parents[3]
README = ROOT / 'README.txt'

BUILDOUT = '''\
#!{python}
import sys
sys.path[:0] = {path!r}
import zc.buildout.buildout
sys.exit(zc.buildout.buildout.main(sys.argv[1:]))
'''

# What a user has and the README does not speak of.
DEFAULTS = '''\
[buildout]
offline = true
newest = false
develop-eggs-directory = {develop_eggs}
eggs-directory = {eggs}
'''

pytestmark = pytest.mark.skipif(not README.exists(),
                                reason='not in a checkout')


@pytest.fixture
def session(tmp_path, zookeeper):
    """A folder with bin/buildout, and the test's ZooKeeper."""
    root = tmp_path / 'sample'
    (root / 'bin').mkdir(parents=True)
    with contextlib.closing(Store(tmp_path / 'store')) as store:
        write_buildout(root, store)
        defaults = store.home / '.buildout' / 'default.cfg'
        defaults.parent.mkdir(exist_ok=True)
        defaults.write_text(DEFAULTS.format(develop_eggs=store.develop_eggs,
                                            eggs=store.eggs))
        environ = {**os.environ, 'HOME': str(store.home),
                   'LC_ALL': 'C.UTF-8'}
        # The scripts have to find their eggs by themselves.
        environ.pop('PYTHONPATH', None)
        yield Session(root, environ,
                      {'127.0.0.1:2181': zookeeper.connection_string})
    stop_all(root)


def write_buildout(root, store):
    """bin/buildout, which finds its distributions in the store."""
    path = [str(store.develop_eggs),
            *(each for each in sys.path if each and os.path.isdir(each))]
    script = root / 'bin' / 'buildout'
    script.write_text(BUILDOUT.format(python=sys.executable, path=path))
    script.chmod(0o755)


def stop_all(root):
    """No server outlives a failed example."""
    for file in root.rglob('*.pid'):
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(file.read_text()), signal.SIGKILL)


def test_the_examples_run(session):
    count = session.run(README.read_text(), skipped=('python3 bootstrap.py',))
    assert count > 10


def test_the_python_examples_run():
    result = doctest.testfile(str(README), module_relative=False)
    assert result.attempted and not result.failed


def test_the_options_are_those_of_the_table():
    text = README.read_text()
    documented = text.partition('.. options\n\n')[2].partition(
        '\n.. end of options')[0]
    assert documented == options.reference()


def test_the_demo_writes_what_the_readme_says(session):
    """Its servers are made of the sections of the project's buildout.cfg."""
    sections = (ROOT / 'buildout.cfg').read_text().partition('[web]')[2]
    (session.folder / 'buildout.cfg').write_text(
        '[buildout]\nparts = web api demo\n[web]' + sections)
    wanted = next(block.text for block in blocks(README.read_text())
                  if block.text.startswith('demo: ZooKeeper'))
    ends = [block.text for block in blocks(README.read_text())
            if block.text.startswith('demo: all servers')]
    session.run('::\n\n  $ bin/buildout -q\n')
    import subprocess
    done = subprocess.run([str(session.folder / 'bin/demo'), '--once'],
                          env=session.environ, text=True, timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    assert numberless(done.stdout) == numberless(
        wanted + '\n' + ends[0])


def numberless(text):
    """A text without what differs from run to run."""
    return re.sub(r'\d+\b', 'N', text)
