"""What bootstrap.py installs, and when it has nothing to do."""
from __future__ import annotations

import contextlib
import importlib.util
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

PATH = Path(__file__).parents[1] / 'bootstrap.py'

# The oldest and the newest that the project is for.
PYTHONS = '3.10.0', '3.14.0'

pytestmark = pytest.mark.skipif(not PATH.exists(), reason='not a checkout')


@pytest.fixture
def bootstrap():
    spec = importlib.util.spec_from_file_location('bootstrap', PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def steps(bootstrap, tmp_path, monkeypatch):
    """The steps that `set_up` takes, none of which does anything."""
    steps = []
    (tmp_path / '.installed.cfg').touch()
    monkeypatch.setattr(bootstrap, 'HERE', str(tmp_path))
    monkeypatch.setattr(bootstrap, 'STAMP', str(tmp_path / 'stamp'))
    monkeypatch.setattr(bootstrap, 'fingerprint', lambda: 'inputs')
    monkeypatch.setattr(bootstrap, 'make_environment', lambda: None)
    monkeypatch.setattr(bootstrap, 'install', lambda needs_all: None)
    monkeypatch.setattr(bootstrap, 'run_buildout', steps.append)
    return steps


def normalized(name):
    return re.sub(r'[-_.]+', '-', name).lower()


def test_the_requirements_are_those_of_the_metadata(bootstrap):
    names = set()
    for name, _ in bootstrap.OURS:
        names |= {normalized(re.match(r'[\w.-]+', text)[0])
                  for text in metadata.requires(name) or ()}
    own = {normalized(name) for name, _ in bootstrap.OURS}
    assert names - own - {'zc-buildout'} == {
        normalized(name) for name in bootstrap.requirements(needs_all=True)}


def test_the_demo_needs_nothing_of_the_tests(bootstrap):
    demo = bootstrap.requirements(needs_all=False)
    assert {'kazoo', 'httptools', 'zdaemon', 'zope.component'} <= set(demo)
    assert not {name for name in demo
                if name.startswith(('pytest', 'hypothesis', 'coverage'))}


def test_all_requirements_are_pinned(bootstrap):
    pins = bootstrap.read(bootstrap.HERE + '/versions.cfg')
    for name in bootstrap.requirements(needs_all=True):
        assert f'\n{name} = ' in pins


def test_the_pins_are_for_the_oldest_and_the_newest_python(bootstrap):
    """As far as they are installed here."""
    wrong = []
    for name in bootstrap.pinned_versions('versions.cfg'):
        with contextlib.suppress(metadata.PackageNotFoundError):
            wanted = metadata.metadata(name).get('Requires-Python')
            wrong += [(name, wanted, python) for python in PYTHONS
                      if wanted and python not in SpecifierSet(wanted)]
    assert wrong == []


def test_nothing_is_done_when_nothing_has_changed(bootstrap, steps, capsys):
    bootstrap.set_up(needs_all=False)
    assert steps == [False]
    assert 'ready, after 0 s' in capsys.readouterr().err
    bootstrap.set_up(needs_all=False)
    assert steps == [False]
    assert capsys.readouterr().err == ''


def test_what_the_tests_need_is_added_to_what_the_demo_needs(bootstrap,
                                                             steps):
    bootstrap.set_up(needs_all=False)
    bootstrap.set_up(needs_all=True)
    bootstrap.set_up(needs_all=False)
    assert steps == [False, True]


def test_all_is_done_again_when_an_input_has_changed(bootstrap, steps,
                                                     monkeypatch):
    bootstrap.set_up(needs_all=True)
    monkeypatch.setattr(bootstrap, 'fingerprint', lambda: 'other inputs')
    bootstrap.set_up(needs_all=False)
    assert steps == [True, False]


def test_applications_have_an_environment_of_their_own(bootstrap):
    """Nothing of theirs is installed for the demo or for the tests."""
    ordinary = bootstrap.pinned_versions('versions.cfg')
    pins = bootstrap.pinned_versions('versions.cfg', bootstrap.APPS_CONFIG)
    assert {name for name in pins if pins[name] != ordinary.get(name)} == {
        'setuptools'}
    assert {'Django', 'Zope', 'pyramid'} <= set(bootstrap.apps_eggs())
    assert set(bootstrap.apps_eggs()) <= set(pins)
    assert not {'Django', 'Zope', 'pyramid', 'WebTest'} & set(
        bootstrap.requirements(needs_all=True))


def test_the_tests_say_where_the_others_are(bootstrap, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap, 'set_up', lambda needs_all: None)
    monkeypatch.setattr(bootstrap, 'run', lambda arguments: 0)
    assert bootstrap.main(['test', '-x']) == 0
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith('python3 bootstrap.py test-apps')
    bootstrap.main(['demo'])
    assert capsys.readouterr().err == ''


def test_the_environment_of_applications_is_made_once(
        bootstrap, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(bootstrap, 'HERE', str(tmp_path))
    monkeypatch.setattr(bootstrap, 'APPS_VENV', str(tmp_path))
    monkeypatch.setattr(bootstrap, 'fingerprint', lambda *more: 'inputs')
    monkeypatch.setattr(bootstrap, 'apps_eggs', lambda: ['Django'])
    monkeypatch.setattr(bootstrap, 'requirements', lambda needs_all: [])
    monkeypatch.setattr(bootstrap, 'create_environment', made.append)
    monkeypatch.setattr(bootstrap, 'install_pinned', lambda wanted, *more: (
        made.append(sorted(set(wanted) - set(bootstrap.TOOLS)))))
    monkeypatch.setattr(bootstrap, 'buildout',
                        lambda arguments, folder: made.append(arguments))
    bootstrap.set_up_apps()
    assert made == [str(tmp_path), ['Django'], ['-c', 'apps.cfg']]
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'bin' / 'test-apps').touch()
    bootstrap.set_up_apps()
    assert len(made) == 3


PIP = """\
print('Collecting zope.interface==8.6 (from -c constraints.txt)')
print('Processing /wheels/zope_event-6.2-py3-none-any.whl (from -c x)')
print('Processing /wheels/kazoo-2.11.0-py3-none-any.whl')
print('Installing collected packages: kazoo, zope-event')
raise SystemExit({status})
"""


@pytest.fixture
def pip(bootstrap, tmp_path, monkeypatch):
    """A program in the place of pip; takes its exit status."""
    def write(status):
        (tmp_path / 'pip.py').write_text(PIP.format(status=status))
        monkeypatch.setattr(bootstrap, 'environment_python',
                            lambda: sys.executable)
        monkeypatch.setattr(bootstrap, 'HERE', str(tmp_path))
    return write


def test_each_distribution_is_told_when_pip_gets_it(bootstrap, pip, capsys):
    pip(0)
    bootstrap.run_pip([], {'zope.interface': '8.6', 'zope.event': '6.2'})
    assert capsys.readouterr().err.splitlines() == [
        'bootstrap: getting zope.interface 8.6',
        'bootstrap: getting zope.event 6.2',
        'bootstrap: getting kazoo',
        'bootstrap: installing them']


def test_when_pip_fails_its_output_is_shown(bootstrap, pip, capsys):
    pip(1)
    with pytest.raises(bootstrap.Stop, match='pip could not install'):
        bootstrap.run_pip([], {})
    assert 'Installing collected packages: kazoo' in capsys.readouterr().err


def test_an_old_python_is_refused_in_words(bootstrap, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'version_info', (3, 9, 18))
    assert bootstrap.main(['demo']) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith('bootstrap: Python 3.10 or newer is needed; this')
