"""bin/NAME-tree: diff, import and export of the part of a server."""
from __future__ import annotations

import pytest
from kazoo.security import make_digest_acl

from zc.zkzopeserver.parttree import main

TREE = """\
/fooservice : provider
  threads = 3
  /providers
"""


@pytest.fixture
def run(tmp_path, zookeeper, capsys):
    """A function: run the script; (exit status, stdout)."""
    path = tmp_path / 'tree.txt'
    path.write_text(TREE)
    options = {'zookeeper': zookeeper.connection_string,
               'path': '/fooservice/providers'}

    def run(*arguments, text=TREE):
        path.write_text(text)
        status = main(str(path), options, arguments)
        return status, capsys.readouterr().out
    return run


def test_a_tree_is_compared_imported_and_exported(run):
    status, text = run('diff')
    assert status == 1
    assert '/fooservice/providers' in text
    assert run('import', '--dry-run') == (0, text)
    assert run('export') == (0, '')
    assert run('import') == (0, text)
    assert run('diff') == (0, '')
    assert run('import') == (0, '')
    assert run('export') == (0, TREE)


def test_other_nodes_are_left_alone(run):
    run('import', text='/other\n  x = 1\n')
    run('import')
    assert run('export') == (0, TREE)
    assert run('export', text='/other\n') == (0, '/other\n  x = 1\n')


def test_a_changed_property_is_a_difference(run):
    run('import')
    status, text = run('diff', text=TREE.replace('3', '4'))
    assert status == 1
    assert 'threads' in text


def test_trouble_is_told_in_a_line(tmp_path, capsys):
    path = tmp_path / 'tree.txt'
    path.write_text(TREE)
    options = {'zookeeper': '127.0.0.1:1', 'path': '/x'}
    assert main(str(path), options, ['diff']) == 2
    assert '127.0.0.1:1' in capsys.readouterr().err
    assert main(str(tmp_path / 'none'), options, ['diff']) == 2
    assert 'No such file' in capsys.readouterr().err
    assert main(str(path), {'zookeeper': 'x'}, ['diff']) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_errors_are_lines(zookeeper, client, tmp_path, capsys):
    client(auth_data=[('digest', 'user:secret')]).create('/a', b'', [
        make_digest_acl('user', 'secret', all=True)])
    path = tmp_path / 'tree.txt'
    path.write_text('/a\n')
    options = {'zookeeper': zookeeper.connection_string, 'path': '/a'}
    assert main(str(path), options, ['diff']) == 2
    assert capsys.readouterr().err == f'{path}: not allowed: /a (READ)\n'
    options['zookeeper'] += '/nowhere'
    assert main(str(path), options, ['diff']) == 2
    assert capsys.readouterr().err == (
        f'{path}: there is no node / (the root of the connection,'
        f' {zookeeper.chroot}/nowhere, does not exist)\n')
