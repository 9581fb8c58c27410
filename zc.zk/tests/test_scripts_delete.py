"""Test the deletion of nodes and of properties by a command."""
import stat

import pytest
from kazoo.security import make_digest_acl
from zc.zk.scripts import delete
from zc.zk.scripts import export
from zc.zk.scripts import import_
from zc_zk_support.commands import run_command

TREE = """\
/cms : z4m cms
  threads = 3
  x => /b
  main -> /db
  x -> /a
  /providers
  /workers
    /1
    /2
/db
  /main
    size = 7
/lb
"""


@pytest.fixture
def run(zookeeper):
    """Return a function that runs a command on the server."""
    def call(script, *args, status=None, **options):
        return run_command(script, zookeeper.connection_string, *args,
                           status=status, **options)

    call(import_, '-q', stdin=TREE)
    return call


def test_nodes(run):
    assert run(delete, '/lb', '/cms/workers/1') == (
        'delete /lb\ndelete /cms/workers/1\n2 changes made\n')
    assert run(export) == TREE.replace('    /1\n', '').replace('/lb\n', '')


def test_nothing_is_deleted_unless_everything_may_be(run):
    assert run(delete, '/lb', '/cms', '/x/y', '/cms/workers',
               status=2) == (
        'zookeeper_delete: there is no node /x/y\n'
        'zookeeper_delete: /cms: has 1 node below it; --recursive deletes'
        ' them as well\n'
        'zookeeper_delete: /cms/workers: has 2 nodes below it; --recursive'
        ' deletes them as well\n'
        'zookeeper_delete: nothing was changed\n')
    assert run(delete, '/lb', '/', status=2) == (
        'zookeeper_delete: the root cannot be deleted\n')
    assert run(export) == TREE


def test_recursive(run):
    told = ('delete /cms/workers/2\ndelete /cms/workers/1\n'
            'delete /cms/workers\ndelete /cms/providers\ndelete /cms\n')
    args = '--recursive', '/cms/workers', '/cms', '/cms/'
    assert run(delete, '--dry-run', *args) == told
    assert run(export) == TREE
    assert run(delete, *args) == told + '5 changes made\n'
    assert run(export) == TREE[TREE.index('\n/db') + 1:]
    assert run(delete, '-qr', '/db') == ''
    assert run(export) == '/lb\n'


def test_many_nodes_are_confirmed(run):
    assert run(delete, '-r', '--max-deletes=4', '/cms', status=2).endswith(
        'zookeeper_delete: 5 nodes would be deleted, more than --max-deletes'
        ' 4; nothing was changed\n')
    assert run(export) == TREE


def test_ephemeral_nodes_of_running_servers_stay(run, client):
    server = client()
    server.create('/cms/providers/1.2.3.4:80', b'', ephemeral=True)
    for args in ('/cms/providers/1.2.3.4:80',), ('-r', '/cms'):
        assert run(delete, *args, status=2) == (
            'zookeeper_delete: /cms/providers/1.2.3.4:80: is ephemeral, and'
            ' belongs to a running server; --force deletes it\n'
            'zookeeper_delete: nothing was changed\n')
    assert run(export) == TREE
    assert run(delete, '-qr', '--force', '/cms') == ''
    assert run(export) == TREE[TREE.index('\n/db') + 1:]


def test_links_are_not_followed(run):
    assert run(delete, '/cms/main', status=2) == (
        "zookeeper_delete: there is no node /cms/main, but a link to /db;"
        " --property 'main ->' of /cms deletes it\n"
        'zookeeper_delete: nothing was changed\n')


def test_properties(run):
    assert run(delete, '/cms', '-p', 'threads', '-p', 'main') == (
        '/cms remove link main -> /db\n/cms remove property threads = 3\n'
        '2 changes made\n')
    assert run(delete, '/cms', '--property', 'x ->', '-d') == (
        '/cms remove link x -> /a\n')
    # In the path, links are followed, as by zookeeper_set_property.
    run(delete, '/cms', '-qp', 'x ->')
    assert run(export, '/cms') == (
        '/cms : z4m cms\n  x => /b\n  /providers\n  /workers\n    /1\n'
        '    /2\n')


def test_properties_of_a_linked_node(run):
    assert run(delete, '/cms/main/main', '-p', 'size') == (
        '/db/main remove property size = 7\n1 change made\n')


def test_properties_that_are_not_there(run):
    assert run(delete, '/cms', '/lb', '-p', 'x', '-p', 'threads', '-p', 'z',
               status=2) == (
        "zookeeper_delete: /cms: x is ambiguous: 'x ->', 'x =>'\n"
        'zookeeper_delete: /cms: has no property z\n'
        'zookeeper_delete: /lb: has no property x\n'
        'zookeeper_delete: /lb: has no property threads\n'
        'zookeeper_delete: /lb: has no property z\n'
        'zookeeper_delete: nothing was changed\n')
    assert run(delete, '-rp', 'x', '/cms', status=2) == (
        'zookeeper_delete: --recursive is for nodes, and not for --property\n')
    assert run(export) == TREE


@pytest.mark.parametrize('args', [
    ['-r', '/cms'], ['/lb'], ['-r', '/cms/workers', '/cms/providers'],
    ['-r', '/cms/workers/1', '/db/main'], ['/cms', '-p', 'threads'],
    ['-r', '/db/main', '/db', '/lb']])
@pytest.mark.parametrize('trim', [True, False])
def test_a_backup_takes_it_back(run, client, tmp_path, args, trim):
    owner = client(auth_data=[('digest', 'user:secret')])
    acl = [make_digest_acl('user', 'secret', all=True)]
    for path in ('/cms', '/cms/workers', '/cms/workers/1', '/db/main'):
        owner.set_acls(path, acl)
    auth = tmp_path / 'auth'
    auth.write_text('digest user:secret\n')
    auth.chmod(0o600)
    ours = '--auth-file', str(auth)
    was = run(export, '--exact', *ours)
    backup = tmp_path / 'backup'
    run(delete, *args, *ours, '--backup', str(backup))
    assert run(export, '--exact', *ours) != was
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    head = backup.read_text().split('\n')[0]
    assert head.endswith('to go back, import this file at that path')
    above = head.split()[1]
    trims = ['--trim'] if trim else []
    run(import_, str(backup), above, *trims, *ours)
    assert run(export, '--exact', *ours) == was


def test_the_root_has_no_backup(run, client, tmp_path):
    client().set('/', b'{"x":1}')
    assert 'cannot hold the properties of the root' in run(
        delete, '/', '-p', 'x', '--backup', str(tmp_path / 'b'), status=2)
    assert run(delete, '/', '-p', 'x') == (
        '/ remove property x = 1\n1 change made\n')


def test_what_is_not_allowed(run, client):
    owner = client(auth_data=[('digest', 'user:secret')])
    secret = [make_digest_acl('user', 'secret', all=True)]
    owner.create('/s', b'', secret)
    assert run(delete, '/s', status=2) == (
        'zookeeper_delete: not allowed: /s (READ)\n')
    owner.delete('/s')


def test_hostile_names(run, client):
    client().create('/e\u202e\u2028x', b'{"l\\u001b ->":"a\\nb"}')
    assert run(delete, '/e\u202e\u2028x', '-p', 'l\x1b') == (
        "/e\\u202e\\u2028x remove link 'l\\x1b' -> 'a\\nb'\n"
        '1 change made\n')
    assert run(delete, '/e\u202e\u2028x/y', '/e\u202e\u2028z', status=2) == (
        'zookeeper_delete: there is no node /e\\u202e\\u2028x/y\n'
        'zookeeper_delete: there is no node /e\\u202e\\u2028z\n'
        'zookeeper_delete: nothing was changed\n')
    assert run(delete, '/e\u202e\u2028x') == (
        'delete /e\\u202e\\u2028x\n1 change made\n')
