"""Test the order of changes that access control lists allow."""
import pytest
from kazoo.security import make_digest_acl_credential
from zc.zk.sync.aclorder import identities
from zc.zk.sync.aclorder import in_order
from zc.zk.sync.change import Change

DIGEST = 'digest:' + make_digest_acl_credential('user', 'secret')
ANYONE = frozenset({'world:anyone'})
US = ANYONE | {'auth:', DIGEST}


def order(changes, ours=US):
    return [str(change) for change in in_order(changes, frozenset(ours))]


def test_our_identities(client, zookeeper):
    assert identities(client()) == ANYONE
    assert identities(client(auth_data=[('digest', 'user:secret')])) == US


def test_new_nodes():
    add = [Change('add node', '/a', acl=('world:anyone:r',)),
           Change('add node', '/a/b', acl=('world:anyone:r',)),
           Change('add node', '/a/b/c', acl=('world:anyone:r',))]
    assert order(add, ANYONE) == [
        'add /a', 'add /a/b', 'add /a/b/c',
        '/a/b change ACL from world:anyone:r, world:anyone:ca to'
        ' world:anyone:r',
        '/a change ACL from world:anyone:r, world:anyone:ca to'
        ' world:anyone:r']
    [first, *_] = in_order(add, ANYONE)
    assert first.acl == ('world:anyone:r', 'world:anyone:ca')
    [first, *_] = in_order(add, US)
    assert first.acl == ('world:anyone:r', 'auth::ca')


@pytest.mark.parametrize('acl', [
    'world:anyone:c', f'{DIGEST}:c', 'auth::rc'])
def test_new_nodes_whose_list_lets_us(acl):
    add = [Change('add node', '/a', acl=(acl,)), Change('add node', '/a/b')]
    assert in_order(add, US) == add


OLD, NEW = ('world:anyone:cdrwa',), ('world:anyone:r',)


def acl_change(old, new):
    return Change('change acl', '/a', old=old, new=new)


@pytest.mark.parametrize('other', [
    Change('add node', '/a/b'), Change('delete node', '/a/b'),
    Change('add property', '/a', 'x', new=1, properties={'x': 1})])
def test_lists_of_existing_nodes(other):
    taking = acl_change(OLD, NEW)
    assert in_order([taking, other], ANYONE) == [other, taking]
    giving = acl_change(NEW, OLD)
    assert in_order([other, giving], ANYONE) == [giving, other]
    assert in_order([giving, other], ANYONE) == [giving, other]
    # Of other identities only the server knows.
    giving = acl_change(NEW, ('x509:CN=us:cdrwa',))
    assert in_order([giving, other], ANYONE) == [giving, other]
    # It may be that neither lets us. Then the server says so.
    taking = acl_change(NEW, ('world:anyone:ra',))
    assert in_order([taking, other], ANYONE) == [other, taking]


def test_nobody_is_hoped_for_where_we_may_do_it():
    change = acl_change((f'{DIGEST}:ra',), (f'{DIGEST}:ra', 'ip:::1:c'))
    assert order([change, Change('add node', '/a/b')])[0].endswith(
        f'to {DIGEST}:ra, ip:::1:c, auth::ca')


def test_lists_that_give_us_nothing_but_admin():
    change = acl_change((f'{DIGEST}:cra',), (f'{DIGEST}:ra',))
    add = Change('add node', '/a/b')
    set_ = Change('add property', '/a', 'x', new=1, properties={'x': 1})
    assert order([set_, change, add]) == [
        f'/a change ACL from {DIGEST}:cra to {DIGEST}:ra, auth::cwa',
        '/a add property x = 1', 'add /a/b',
        f'/a change ACL from {DIGEST}:ra, auth::cwa to {DIGEST}:ra']


def test_lists_that_are_to_stay():
    stated = {'/a': (f'{DIGEST}:ra',), '/b': (f'{DIGEST}:ra',),
              '/c': (f'{DIGEST}:r',)}.get
    changes = [Change('add node', '/a/b'), Change('delete node', '/c/d'),
               Change('add node', '/e/f')]
    assert [str(change) for change in in_order(changes, US, stated)] == [
        f'/a change ACL from {DIGEST}:ra to {DIGEST}:ra, auth::ca',
        'add /a/b', 'delete /c/d', 'add /e/f',
        f'/a change ACL from {DIGEST}:ra, auth::ca to {DIGEST}:ra']


def test_lists_that_nothing_depends_on():
    acl, add, other = changes = [
        acl_change(OLD, NEW), Change('add node', '/b'),
        acl_change(NEW, OLD)._replace(path='/c')]
    assert in_order(changes, ANYONE) == [add, acl, other]
