"""Test the tree methods of ZooKeeper objects."""
import logging
import os

import pytest
from kazoo.exceptions import NoAuthError
from kazoo.exceptions import NoNodeError
from kazoo.security import OPEN_ACL_UNSAFE
from kazoo.security import READ_ACL_UNSAFE
from kazoo.security import make_digest_acl
from zc.zk.client import ZooKeeper
from zc.zk.permissions import world
from zc.zk.sync.applier import ApplyError
from zc.zk.tree import TreeError

TREE = """\
/lb : ipvs
  /pools
    /cms
      # The address is fixed because it is exposed externally.
      address = '1.2.3.4:80'
      providers -> /cms/providers
    /retail
      address = '1.2.3.5:80'
      providers -> /cms/providers

/cms : z4m cms
  threads = 3
  /providers
  /databases
    /main
      /providers

/retail : z4m retail
  threads = 1
  /providers
  /databases
    main -> /cms/databases/main
    /ugc
      /providers
"""

LESS = """\
/lb : ipvs
  /pools
    /cms
      address = '1.2.3.4:80'
      providers -> /cms/providers

/cms : z4m cms
  threads = 4
  /providers
  /databases
    /main
      /providers
"""

EXPORTED = """\
/cms : z4m cms
  threads = 3
  /databases
    /main
      /providers
  /providers
/lb : ipvs
  /pools
    /cms
      address = '1.2.3.4:80'
      providers -> /cms/providers
    /retail
      address = '1.2.3.5:80'
      providers -> /cms/providers
/retail : z4m retail
  threads = 1
  /databases
    main -> /cms/databases/main
    /ugc
      /providers
  /providers
"""


@pytest.fixture
def zk(zookeeper):
    """Return a connection to a ZooKeeper with the tree."""
    with ZooKeeper(zookeeper.connection_string) as zk:
        zk.import_tree(TREE)
        yield zk


def lines(changes):
    return [str(change) for change in changes]


def test_export(zk):
    assert zk.export_tree() == EXPORTED
    assert zk.export_tree('/cms/databases') == (
        '/databases\n  /main\n    /providers\n')
    assert zk.export_tree('/cms/databases/main', name='cms') == (
        '/cms\n  /providers\n')
    assert zk.export_tree('/', name='top').startswith(
        '/top\n  /cms : z4m cms\n    threads = 3\n')
    with pytest.raises(NoNodeError, match='/x'):
        zk.export_tree('/x')


def test_ephemeral_nodes_are_exported_when_asked_for(zk, capsys):
    zk.register('/cms/providers', '1.2.3.4:80')
    assert zk.export_tree() == EXPORTED
    with_ephemeral = (
        '/providers\n  /1.2.3.4:80\n    [ ephemeral ]\n'
        f'    pid = {os.getpid()}\n')
    assert zk.export_tree('/cms/providers', ephemeral=True) == with_ephemeral
    zk.print_tree('/cms/providers')
    assert capsys.readouterr().out == with_ephemeral


def test_a_second_import_changes_what_differs(zk, caplog, capsys):
    with caplog.at_level(logging.WARNING, 'zc.zk'):
        changes = zk.import_tree(LESS)
    assert lines(changes) == [
        '/cms change property threads from 3 to 4',
        'extra path not trimmed: /lb/pools/retail']
    assert [record.getMessage() for record in caplog.records] == [
        'extra path not trimmed: /lb/pools/retail']
    assert zk.export_tree() == EXPORTED.replace('threads = 3', 'threads = 4')
    # A dry run with trimming:
    changes = zk.import_tree(LESS, trim=True, dry_run=True)
    assert lines(changes) == ['delete /lb/pools/retail']
    assert zk.exists('/lb/pools/retail')
    assert zk.import_tree(LESS, trim=False) == []
    zk.import_tree(LESS, trim=True)
    assert not zk.exists('/lb/pools/retail')
    assert zk.exists('/retail')  # a top node
    assert zk.plan(LESS, trim=True) == []
    assert capsys.readouterr().out == ''


def test_a_dry_run_logs_nothing(zk, caplog):
    with caplog.at_level(logging.INFO, 'zc.zk'):
        zk.import_tree(LESS, dry_run=True)
    assert caplog.records == []


def test_trees_can_be_copied(zk):
    zk.create('/databases')
    zk.import_tree(zk.export_tree('/cms/databases/main', name='cms'),
                   '/databases')
    assert zk.export_tree('/databases') == (
        '/databases\n  /cms\n    /providers\n')
    zk.import_tree('/x', '/databases/')
    assert zk.exists('/databases/x')
    with pytest.raises(NoNodeError, match='^/nowhere$'):
        zk.import_tree('/x', '/nowhere')


def test_nodes_with_ephemeral_nodes_are_not_trimmed(zk):
    for path in ('/retail', '/cms'):
        zk.create(f'{path}/providers/1.2.3.4:80', b'{"pid":1}',
                  ephemeral=True)
    changes = zk.import_tree('/retail\n/cms\n  /providers\n', trim=True)
    assert 'delete /retail/databases' in lines(changes)
    assert zk.export_tree('/retail', ephemeral=True) == (
        '/retail\n  /providers\n    /1.2.3.4:80\n      [ ephemeral ]\n'
        '      pid = 1\n')
    assert zk.exists('/cms/providers/1.2.3.4:80')
    assert zk.plan('/cms\n  /providers\n', trim=True) == []
    assert lines(zk.plan('/cms\n  /providers\n', trim=True, force=True)) == [
        'delete /cms/providers/1.2.3.4:80']
    text = '/cms\n  /providers\n    /1.2.3.4:80\n      x = 1\n'
    assert lines(zk.import_tree(text, trim=False)) == [
        'left alone, as it is ephemeral: /cms/providers/1.2.3.4:80']
    zk.import_tree(text, trim=False, force=True)
    assert zk.get_properties('/cms/providers/1.2.3.4:80') == {'x': 1}


def test_access_control_lists_are_kept_unless_one_is_given(zk):
    acl = [*READ_ACL_UNSAFE, make_digest_acl('user', 'secret', all=True)]
    client = zk.client
    client.add_auth('digest', 'user:secret')  # may see the whole ACL
    client.set_acls('/cms', acl)
    assert zk.import_tree('/cms : z4m cms\n  threads = 3\n', trim=False
                          ) == []
    assert client.get_acls('/cms')[0] == acl
    zk.import_tree('/new')
    assert client.get_acls('/new')[0] == OPEN_ACL_UNSAFE
    changes = zk.import_tree('/retail\n/new2', acl=READ_ACL_UNSAFE)
    assert 'change acl' in [change.kind for change in changes]
    for path in ('/retail', '/new2'):
        assert client.get_acls(path)[0] == READ_ACL_UNSAFE
    assert client.get_acls('/retail/providers')[0] == OPEN_ACL_UNSAFE
    changes = zk.import_tree(
        "/lb : ipvs\n  [ acl ] = ['world:anyone:rw']\n", trim=False)
    assert lines(changes) == [
        '/lb change ACL from world:anyone:cdrwa to world:anyone:rw']
    assert client.get_acls('/lb')[0][0].perms == 3


def test_text_that_is_no_tree_changes_nothing(zk):
    with pytest.raises(TreeError, match='line 2'):
        zk.import_tree('/new\n  x = open("y")\n')
    assert not zk.exists('/new')


def test_an_import_that_fails_can_be_finished(zk):
    zk.client.set_acls('/lb', world(0b10001))  # read and admin
    text = '/cms\n/lb\n  x = 1\n/new\n'
    with pytest.raises(ApplyError, match='^/lb: cannot set the data'):
        zk.import_tree(text, trim=False)
    zk.client.set_acls('/lb', OPEN_ACL_UNSAFE)
    zk.import_tree(text, trim=False)
    assert zk.plan(text, trim=False) == []
    assert zk.get_properties('/lb') == {'x': 1}


def test_only_what_the_text_is_about_is_read(zk):
    """The nodes of other services may be unreadable."""
    secret = make_digest_acl('user', 'secret', all=True)
    zk.create('/secret', b'', [secret])
    zk.create('/retail/secret', b'', [secret])
    assert lines(zk.plan(LESS, trim=True))
    assert lines(zk.plan('/retail\n', trim=False))
    assert 'extra path not trimmed: /retail/secret' in lines(
        zk.plan('/retail\n'))
    zk.create('/retail/databases/secret', b'', [secret])
    assert lines(zk.import_tree('/retail\n', trim=True)) == [
        '/retail remove property threads = 1',
        "/retail remove property type = 'z4m retail'",
        'left alone, as we may not read it: /retail/databases/secret',
        'delete /retail/databases/ugc/providers',
        'delete /retail/databases/ugc',
        'not deleted, as there are nodes below that we may not read:'
        ' /retail/databases',
        'delete /retail/providers',
        'left alone, as we may not read it: /retail/secret']
    with pytest.raises(NoAuthError, match=r'^/retail/databases/secret \(READ\)'
                                          r'\n/retail/secret \(READ\)$'):
        zk.export_tree('/retail')
    zk.client.add_auth('digest', 'user:secret')
    zk.delete('/secret')
    zk.delete('/retail/secret')
    zk.delete('/retail/databases/secret')
