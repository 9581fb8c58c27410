"""Test what operators ask of the commands beside the plain way."""
import json
import os
import re
import stat
from importlib.metadata import entry_points

import pytest
from kazoo.security import make_digest_acl
from zc.zk.scripts import diff
from zc.zk.scripts import export
from zc.zk.scripts import import_
from zc.zk.scripts import set_property
from zc.zk.scripts import validate
from zc_zk_support.commands import TREE
from zc_zk_support.commands import run_command as run_script


@pytest.fixture
def run():
    """Return a function that calls a command and returns its output."""
    return run_script


@pytest.fixture
def variable(where, monkeypatch):
    """Set the environment variable to the connection string."""
    monkeypatch.setenv('ZC_ZK_CONNECTION_STRING', where)


def test_the_connection_can_be_in_the_environment(
        where, variable, file, run, tmp_path, monkeypatch):
    tree = file(TREE)
    assert run(import_, '-q', tree) == ''
    assert run(export) == TREE
    assert run(export, '/lb/pools', '--name', '1.2.3.4:80').startswith(
        '/1.2.3.4:80\n')
    assert run(diff, tree) == ''
    assert run(diff, '--json', tree, '/', status=None) == '[]\n'
    assert run(diff, '-l', '/cms', '/cms') == ''
    output = tmp_path / 'x:1'
    assert run(export, '-o', str(output), '--session-timeout', '5') == ''
    assert run(export, f'-o{output}') == ''
    assert run(set_property, '/lb', 'x=1') == '/lb add property x = 1\n'
    assert run(import_, '-dp', '1', tree).endswith(
        'ACL from world:anyone:cdrwa to world:anyone:r\n')
    # One that is given wins.
    assert run(export, where, '/lb/pools') == run(export, '/lb/pools')
    assert 'no ZooKeeper answered' in run(
        export, '--session-timeout', '1', '127.0.0.1:1', status=2)
    # An empty shell variable is a mistake, and no default.
    assert 'CONNECTION: it is empty' in run(import_, '', tree, status=2)
    monkeypatch.setenv('ZC_ZK_CONNECTION_STRING', '')
    assert 'is not a connection string' in run(export, '/lb', status=2)


def test_a_quiet_diff(where, file, run):
    assert run(diff, '-q', where, file(TREE), status=1) == ''
    run(import_, '-q', where, file(TREE))
    assert run(diff, '-q', '--json', where, file(TREE)) == ''


def test_versions_and_times(where, file, run, client):
    run(import_, '-q', where, file('/a\n  x = 1\n'))
    owner = client()
    owner.create('/a/e', b'{"pid":7}', ephemeral=True)
    time = r'20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z'
    stat_ = f'version 0, ACL version 0, created {time}, changed {time}'
    text = run(export, '--stat', '-e', where)
    assert re.fullmatch(
        f'/a\n  # {stat_}\n  x = 1\n  /e\n'
        f'    # session {owner.client_id[0]:#x}, {stat_}\n'
        r'    \[ ephemeral \]\n    pid = 7\n', text)
    assert run(diff, where, file(text)) == ''
    told = json.loads(run(export, '-e', where, '--format', 'json'))
    node = told['children']['a']['children']['e']
    assert node['ephemeral'] is True
    assert node['stat']['ephemeralOwner'] == hex(owner.client_id[0])
    assert re.fullmatch(time, node['stat']['ctime'])
    assert told['children']['a']['stat']['ephemeralOwner'] == '0x0'
    assert told['children']['a']['stat']['numChildren'] == 1


def test_json_is_imported(where, file, run, client):
    connection = client()
    connection.create('/n', None)
    run(import_, '-q', where, file(TREE))
    text = run(export, where, '--format=json')
    saved = file(text, 'tree.json')
    for path in ('/cms', '/lb', '/n'):
        connection.delete(path, recursive=True)
    assert run(validate, '--format=json', saved) == ''
    assert run(diff, '--format=json', where, saved, status=1)
    assert run(import_, '-q', '--format=json', where, saved) == ''
    assert run(diff, '--format=json', where, saved) == ''
    assert run(export, where) == TREE + '/n\n'
    assert connection.get('/n')[0] is None
    assert run(validate, '--format=json', file(TREE), status=2).endswith(
        "tree.txt: line 1: expected {, not '/'\n")


def test_nodes_that_may_not_be_read_are_skipped(where, file, run, client):
    run(import_, '-q', where, file(TREE))
    owner = client(auth_data=[('digest', 'user:secret')])
    secret = [make_digest_acl('user', 'secret', all=True)]
    for path in ('/cms/s', '/lb/s'):
        owner.create(path, b'{"x":1}', secret)
    assert run(export, where, status=2) == (
        'zookeeper_export: not allowed: /cms/s (READ)\n'
        'zookeeper_export: not allowed: /lb/s (READ)\n')
    text = run(export, where, '--skip-unreadable')
    assert text.count('/s\n    [ unreadable ]\n') == 2
    # What is marked is left alone.
    marked = file(text)
    assert run(import_, '-t', where, marked) == '0 changes made\n'
    assert run(diff, where, marked) == ''
    # What is not in the file is a difference, and stays.
    tree = file(TREE)
    assert run(diff, where, tree, status=1) == (
        'delete /cms/s\ndelete /lb/s\n')
    assert run(diff, '--skip-unreadable', where, tree) == ''
    assert run(import_, '-t', where, tree) == (
        'left alone, as we may not read it: /cms/s\n'
        'left alone, as we may not read it: /lb/s\n0 changes made\n')
    # What is in the file has to be read, or is left alone.
    other = file('/cms\n  /s\n    x = 2\n')
    for script in diff, import_:
        assert 'not allowed: /cms/s (READ)' in run(
            script, where, other, status=2)
    assert run(import_, '--no-trim', '--skip-unreadable', where, other) == (
        '/cms remove property threads = 3\n'
        "/cms remove property type = 'z4m cms'\n"
        'left alone, as we may not read it: /cms/s\n2 changes made\n')
    assert owner.get('/cms/s')[0] == b'{"x":1}'
    assert 'not allowed: /lb/s' in run(
        diff, '-l', where, '/lb', '/lb', status=2)
    assert run(diff, '-l', '--skip-unreadable', where, '/lb', '/lb') == ''
    for path in ('/cms/s', '/lb/s'):
        owner.delete(path)


def test_exact_exports(where, file, run, client, tmp_path):
    connection = client()
    connection.create('/e', b'')
    connection.create('/n', None)
    text = run(export, where, '--exact')
    acl = "  [ acl ] = ['world:anyone:cdrwa']\n"
    assert text == f'/e\n  [ empty ]\n{acl}/n\n  [ null ]\n{acl}'
    for path in ('/e', '/n'):
        connection.delete(path)
    run(import_, '-q', where, file(text))
    assert [connection.get(path)[0] for path in ('/e', '/n')] == [b'', None]


@pytest.mark.parametrize('option', ['--acl', '--exact'])
def test_files_with_lists_are_private(where, file, run, tmp_path, option):
    run(import_, '-q', where, file(TREE))
    output = file('old', 'output', 0o644)
    run(export, option, where, '-o', output)
    assert stat.S_IMODE(os.stat(output).st_mode) == 0o600


def test_large_nodes(where, file, run, client, monkeypatch):
    """What ZooKeeper has stored can be imported again."""
    connection = client()
    # Its longest request, with the 8 bytes of its header.
    room = 0xfffff - 8 - len(
        f'{connection.chroot}/a'.encode()) - 4 - 4 - 27 - 4
    connection.create('/a', b'x' * room)
    text = run(export, where)
    connection.delete('/a')
    assert run(import_, where, file(text)) == 'add /a\n1 change made\n'
    assert connection.get('/a')[0] == b'x' * room
    larger = file(text.replace('xx', 'xxx', 1))
    assert run(import_, where, larger).startswith(
        '/a change property string_value')
    for script in import_, validate:
        larger = file(text.replace('/a', '/' + 'b' * 99))
        args = [larger] if script is validate else [where, larger]
        assert 'more than ZooKeeper takes' in run(script, *args, status=2)
        assert 'is not a number of bytes from 1024' in run(
            script, '--max-node-size=1k', *args, status=2)
    assert run(validate, '--max-node-size=2000000', larger) == ''


def test_only_printable_characters_are_shown(where, file, run, client):
    """Names and values in the tree come from whoever may write there."""
    connection = client()
    name = '/e\u202e\u2028\u2066'
    connection.create(name, json.dumps({
        'a\x1b[2J': 'b\nc', 'l\u2028 ->': '/x\x1b\n', 'type': '\x07t',
        'string_value': '\x9b'}).encode())
    connection.create(name + '/providers')
    connection.create(name + '/providers/\u2028')
    empty = file('/x\n')
    shown = [
        run(export, where), run(export, where, '--format=json'),
        run(export, where, '--format=dot'), run(export, where, '--stat'),
        run(diff, '-a', where, empty, status=1),
        run(diff, '-l', where, '/', name, status=1),
        run(import_, '-dt', where, file('/' + repr(name[1:]).join('  '))),
        run(set_property, where, name, 'x=1'),
        run(set_property, where, name + '/x', 'x=1', status=2),
        run(export, where, name + '/x', status=2),
    ]
    connection.set_acls(name, [make_digest_acl('user', 'secret', all=True)])
    shown += [run(export, where, status=2),
              run(set_property, where, name, 'x=2', status=2)]
    for text in shown:
        assert all(line.isprintable() for line in text.split('\n')), text
        assert 'u202e' in text


def test_sequential_nodes_are_warned_of(where, file, run, caplog):
    run(import_, '-q', where, file('/q\n  /lock-0000000007\n'))
    assert [record.getMessage() for record in caplog.records] == [
        '/q/lock-0000000007: creating sequential nodes beside it can fail, as'
        ' ZooKeeper goes on with /q/lock-0000000001']


def test_the_root_of_zookeeper_is_left_alone(zookeeper, file, run):
    where = zookeeper.hosts
    text = run(export, where, '/zookeeper')
    assert run(import_, where, file(text)) == (
        'left alone, as it belongs to the server: /zookeeper\n'
        '0 changes made\n')


def test_a_chroot_that_is_not_there(zookeeper, run, file):
    where = zookeeper.connection_string + '/nowhere'
    name = zookeeper.chroot + '/nowhere'
    for args in (export, where), (import_, where, file(TREE)):
        assert run(*args, status=2).endswith(
            f': there is no node / (the root of the connection, {name}, does'
            ' not exist)\n')


@pytest.mark.parametrize('name', sorted(
    each.name for each in entry_points(group='console_scripts')
    if each.value.startswith('zc.zk.')))
def test_help_fits_a_terminal(monkeypatch, capsys, name):
    command, = entry_points(group='console_scripts', name=name)
    monkeypatch.setenv('COLUMNS', '80')
    monkeypatch.setattr('sys.argv', [name, '--help'])
    with pytest.raises(SystemExit) as caught:
        command.load()()
    assert not caught.value.code
    said = capsys.readouterr().out
    assert said.startswith(f'usage: {name} ')
    assert max(map(len, said.split('\n'))) < 80
