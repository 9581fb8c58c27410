"""What the recipe writes does not depend on the order of sets.

Python's hash of a string changes from run to run (PYTHONHASHSEED), and with
it the order of a set of strings.  A file that follows it would be rewritten by
an unchanged buildout, and ``on-change`` would restart servers for nothing.

A part with all extras is tried at 8 seeds.  The examples of doc/recipe.txt
are tried at 4, as each run takes its time; ``RECIPE_SEEDS=20`` tries more.
"""
from __future__ import annotations

import getpass
import os
import re
import textwrap
from pathlib import Path

import pytest
from zkzopeserver_support import recorder
from zkzopeserver_support.recipe_sandbox import ENTRY_POINTS
from zkzopeserver_support.recipe_sandbox import Sandbox
from zkzopeserver_support.recipe_sandbox import Store

TEXT = Path(__file__).parents[1] / 'doc' / 'recipe.txt'

EXAMPLE_SEEDS = int(os.environ.get('RECIPE_SEEDS', '4'))
SEEDS = max(8, EXAMPLE_SEEDS)

# The extras that follow from options.
NAMES = 'daemon', 'monitor', 'loggers'

# A part with all extras, which examples do not have.
EXTRAS = """\
[web]
recipe = zc.zkzopeserver
app = call:zc.zkzopeserver.hello:make_hello
eggs = zc.zkzopeserver[loggers,daemon,monitor]
zookeeper = zk1:2181
path = /shop/web/providers
monitor_server = 127.0.0.1:0
loggers =
    <logger>
      level INFO
    </logger>
"""

pytestmark = pytest.mark.skipif(not TEXT.exists(), reason='not a checkout')


def examples():
    """Yield (parts, sections) of the examples of doc/recipe.txt that work."""
    text = TEXT.read_text(encoding='utf-8')
    text = text[:text.index('What is wrong\n----')]
    user = 'user = ' + getpass.getuser()
    if os.geteuid():
        user += '\netc-user = ' + getpass.getuser()
    for match in re.finditer(
            r'^::\n\n((?:    .*\n|\n)+)\.\. -> sections', text, re.MULTILINE):
        sections = textwrap.dedent(match[1]).replace('user = USER', user)
        parts = re.search(r'^parts = (.*)', sections, re.MULTILINE)
        yield (parts[1] if parts else 'web',
               re.sub(r'\[buildout\]\n(.+\n)*', '', sections))


def with_on_change(sections):
    """Return sections whose servers note each change in ``changes.txt``."""
    return re.sub(r'^(recipe = zc\.zkzopeserver)$',
                  r'\1\non-change = echo changed >> changes.txt',
                  re.sub('^on-change.*\n', '', sections, flags=re.MULTILINE),
                  flags=re.MULTILINE)


def contents(root):
    """All files but buildout's own: in each run it adds to that one."""
    return {str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob('*'))
            if path.is_file() and path.name != '.installed.cfg'}


@pytest.fixture(scope='module')
def stores(tmp_path_factory):
    """A store that is run with each of the seeds."""
    root = tmp_path_factory.mktemp('store')
    store = Store(root / 'store', extras=[
        f'[{name}]\nneededfor{name}' for name in NAMES])
    store.add('shop', '1.0', '[console_scripts]\nhello = shop:hello\n')
    # Each in a directory of its own, so that their order is seen.
    store.add('zc.zkzopeserver', '2.0.post2', ENTRY_POINTS, place=root / 'us')
    for name in NAMES:
        store.add(f'neededfor{name}', '1.0', '', place=root / name)
    # Where the tests are measured the first seed is recorded alone: the others
    # run the same lines.
    made = [store, *(store.again(PYTHONHASHSEED=str(seed),
                                 **{recorder.VARIABLE: ''})
                     for seed in range(1, SEEDS))]
    yield made
    for each in made:
        each.close()


def check(stores, sections, parts, root):
    sections = with_on_change(sections)
    before = None
    for store in stores:
        sandbox = Sandbox(root, store)
        sandbox.built(sections, parts=parts)
        found = contents(root)
        if before is None:
            before = found
            # Only servers have it.
            assert (sandbox.path('changes.txt').exists()
                    == ('on-change' in sections))
        assert found == before


def test_a_part_with_all_extras_stays_the_same(stores, tmp_path):
    check(stores, EXTRAS, 'web', tmp_path)
    script = (tmp_path / 'bin' / 'web').read_text()
    for name in NAMES:
        assert f"/{name}'," in script


@pytest.mark.parametrize('parts, sections',
                         list(examples()) if TEXT.exists() else [])
def test_examples_stay_the_same(stores, tmp_path, parts, sections):
    check(stores[:EXAMPLE_SEEDS], sections, parts, tmp_path)
