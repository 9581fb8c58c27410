"""The documents: their examples run, the options are those of the table."""
import doctest
import re
import shutil
import subprocess
import textwrap

import pytest
from zkzopeserver_support import examples
from zkzopeserver_support.examples import CHECKOUT
from zkzopeserver_support.examples import ROOT
from zkzopeserver_support.shell_examples import blocks

from zc.zkzopeserver import options

README = ROOT / 'README.txt'
OPERATIONS = ROOT / 'doc' / 'operations.txt'

pytestmark = pytest.mark.skipif(not README.exists(),
                                reason='not in a checkout')


@pytest.fixture
def session(tmp_path, zookeeper):
    """A folder with bin/buildout, and the test's ZooKeeper."""
    with examples.session(tmp_path, zookeeper.connection_string) as found:
        yield found


def test_the_examples_run(session):
    skipped = ['python3 bootstrap.py', 'bin/zookeeper_embedded']
    if shutil.which('curl') is None:
        skipped.append('curl')
    readme = README.read_text()
    assert textwrap.indent(CHECKOUT, '    ') in readme
    session.hidden |= {CHECKOUT: '', '../zc.zkzopeserver/bin/': 'bin/'}
    assert session.run(readme, tuple(skipped)) >= 7
    operations = re.findall(r'(?ms)^\.\. runs$(.*?)^\.\. end of what runs$',
                            OPERATIONS.read_text())
    assert [session.run(text) for text in operations] == [6, 4]


@pytest.mark.parametrize('name', ['README.txt', 'doc/discovery.txt'])
def test_the_python_examples_run(name):
    result = doctest.testfile(str(ROOT / name), module_relative=False)
    assert result.attempted and not result.failed


def test_the_options_are_those_of_the_table():
    text = (ROOT / 'doc' / 'options.txt').read_text()
    documented = text.partition('.. options\n\n')[2].partition(
        '\n.. end of options')[0]
    assert documented == options.reference()


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= 200


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
    done = subprocess.run([str(session.folder / 'bin/demo'), '--once'],
                          env=session.environ, text=True, timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    assert numberless(done.stdout) == numberless(
        wanted + '\n' + ends[0])


def numberless(text):
    """A text without what differs from run to run."""
    return re.sub(r'\d+\b', 'N', text)
