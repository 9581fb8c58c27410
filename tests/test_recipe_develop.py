"""Develop eggs that zc.buildout leaves out of scripts are told."""
from __future__ import annotations

import pytest
from zkzopeserver_support.recipe_sandbox import Sandbox
from zkzopeserver_support.recipe_sandbox import Store

SECTION = """
[web]
recipe = zc.zkzopeserver
app = egg:shop
daemon = false
zookeeper = 127.0.0.1:2181
path = /fooservice/providers
"""

METADATA = 'Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n'


@pytest.fixture
def store(tmp_path):
    """A store whose develop-eggs directory is ``m/develop-eggs``."""
    made = Store(tmp_path / 'm')
    yield made
    made.close()


@pytest.fixture
def sandbox(store, tmp_path):
    (tmp_path / 'sample').mkdir()
    return Sandbox(tmp_path / 'sample', store)


def develop(store, source, name, requires=''):
    """Make the entries that zc.buildout makes for a folder of `develop`."""
    info = source / f'{name}.egg-info'
    info.mkdir(parents=True)
    (info / 'PKG-INFO').write_text(METADATA.format(name=name))
    (info / 'requires.txt').write_text(requires)
    info = store.develop_eggs / f'{name.replace(".", "_")}-1.0.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text(
        METADATA.format(name=name)
        + (f'Requires-Dist: {requires}\n' if requires else ''))
    (store.develop_eggs / f'{name}.egg-link').write_text(f'{source}\n../')


def test_a_folder_that_sorts_before_develop_eggs_is_told(sandbox, store,
                                                         tmp_path):
    develop(store, tmp_path / 'a' / 'shop', 'shop', 'acme.core')
    develop(store, tmp_path / 'z' / 'core', 'acme.core')
    develop(store, tmp_path / 'z' / 'other', 'acme.other')
    error = sandbox.refused(SECTION)
    assert error.strip() == (
        '[web]: zc.buildout would leave acme.core, shop out of the scripts,'
        f' as a folder of `develop` sorts before {store.develop_eggs}; let'
        " 'develop-eggs-directory' of [buildout] be a path that sorts before"
        f' all of them, such as {tmp_path}/a/.develop-eggs')
    assert not sandbox.path('bin', 'web').exists()


def test_folders_that_sort_behind_it_are_in_scripts(sandbox, store, tmp_path):
    develop(store, tmp_path / 'z' / 'shop', 'shop')
    sandbox.built(SECTION)
    assert f"'{tmp_path}/z/shop'" in sandbox.read('bin', 'web')
