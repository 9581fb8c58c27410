"""doc/design.txt names every module, and no module that there is not."""
from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DESIGN = ROOT / 'doc' / 'design.txt'
SOURCES = {
    'zc.zkzopeserver': ROOT / 'src/zc/zkzopeserver',
    'zope.server': ROOT / 'zope.server/src/zope/server',
    'zc.zk': ROOT / 'zc.zk/src/zc/zk',
    'zc.monitor': ROOT / 'zc.monitor/src/zc/monitor',
}

pytestmark = pytest.mark.skipif(not DESIGN.exists(),
                                reason='not in a checkout')


def words() -> set[str]:
    """Return what the tables and contracts name: modules without `.py`."""
    text = DESIGN.read_text(encoding='utf-8')
    found = set()
    for literal in re.findall(r'``([\w./*]+)``', text):
        found.add(literal.removesuffix('.py').rpartition('/')[2])
        # `_import` stands for `zookeeper_import`.
        found.add('zookeeper' + literal)
    return found


@pytest.mark.parametrize('distribution', SOURCES)
def test_every_module_is_named(distribution: str) -> None:
    known = words()
    unnamed = [str(path.relative_to(SOURCES[distribution]))
               for path in SOURCES[distribution].rglob('*.py')
               if path.stem not in known and path.name != '__init__.py'
               and 'testing' not in path.parts]
    assert unnamed == []


def test_every_named_file_exists() -> None:
    text = DESIGN.read_text(encoding='utf-8')
    files = {path.name for source in (*SOURCES.values(), ROOT / 'tests',
                                      ROOT / 'zc.zk/tests')
             for path in source.rglob('*.py')}
    named = set(re.findall(r'([\w]+\.py)``', text))
    assert len(named) > 40
    assert named <= files
