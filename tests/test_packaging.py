"""The distributions' metadata, and the tools that look at them."""
from __future__ import annotations

import re
import subprocess
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
SETUPS = ['setup.py', 'zope.server/setup.py', 'zc.zk/setup.py',
          'zc.monitor/setup.py']

pytestmark = pytest.mark.skipif(
    not (ROOT / 'versions.cfg').exists(), reason='not in a checkout')


def read(name: str) -> str:
    """Return the text of a file of the checkout."""
    return (ROOT / name).read_text(encoding='utf-8')


def test_hooks_and_ci_run_the_same_versions_of_the_tools() -> None:
    pins = set(re.findall(r'^\w+==\S+$', read('requirements-lint.txt'), re.M))
    hooks = set(re.findall(r'"(\w+==[^"]+)"', read('.pre-commit-config.yaml')))
    assert len(pins) == 3
    assert hooks == pins


@pytest.mark.parametrize('name', SETUPS)
def test_every_distribution_is_typed_and_says_where_it_runs(
        name: str) -> None:
    text = read(name)
    for word in ("'Typing :: Typed'", "python_requires='>=3.10'",
                 'author=', 'project_urls=', 'keywords=',
                 "license='ZPL-2.1'"):
        assert word in text, word
    versions = re.findall(r"'Programming Language :: Python :: (3\.\d+)'",
                          text)
    assert versions == ['3.10', '3.11', '3.12', '3.13', '3.14']
    [marker] = (ROOT / name).parent.glob('src/*/*/py.typed')
    assert marker.read_bytes() == b''


# What of the root an sdist does without.
CHECKOUT_ONLY = '.coveragerc', '.gitignore', 'MANIFEST.in'


@pytest.mark.skipif(not (ROOT / '.git').exists(), reason='not in a checkout')
def test_nothing_in_the_root_is_unknown() -> None:
    """What a measurement leaves there was committed once."""
    tracked = subprocess.run(
        ['git', '-c', f'safe.directory={ROOT}', 'ls-files', '-z'], cwd=ROOT,
        check=True, stdout=subprocess.PIPE, text=True).stdout
    found = {path.partition('/')[0] for path in tracked.split('\0') if path}
    known = [word for line in re.findall(
        '^(?:include|graft) (.*)', read('MANIFEST.in'), re.MULTILINE)
        for word in line.split()]
    assert [name for name in sorted(found) if name not in CHECKOUT_ONLY
            and not any(fnmatch(name, each) for each in known)] == []


def test_a_server_needs_seven_distributions() -> None:
    found = {'zc-zkzopeserver'}
    waiting = list(found)
    while waiting:
        for text in metadata.requires(waiting.pop()) or ():
            requirement = Requirement(text)
            name = canonicalize_name(requirement.name)
            if name not in found and (
                    requirement.marker is None
                    or requirement.marker.evaluate({'extra': ''})):
                found.add(name)
                waiting.append(name)
    assert found == {'zc-zkzopeserver', 'zope-server', 'zc-zk', 'pastedeploy',
                     'httptools', 'kazoo', 'psutil'}
