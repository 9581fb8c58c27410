"""Views that follow their nodes, callbacks, deletion, links, release."""
import logging
import threading
import time
import weakref

import pytest
import zc.zk
from kazoo.exceptions import NoNodeError
from kazoo.security import OPEN_ACL_UNSAFE
from kazoo.security import make_digest_acl
from zc.zk.testing.waiting import wait_for
from zc.zk.watch import dispatcher


@pytest.fixture
def zk(zookeeper):
    with zc.zk.ZooKeeper(zookeeper.connection_string, 5.) as zk:
        yield zk


def test_children_are_kept_up_to_date(zk):
    zk.create('/test')
    children = zk.children('/test')
    assert list(children) == []
    assert not children
    zk.create('/test/b')
    zk.create('/test/a')
    wait_for(lambda: len(children) == 2)
    assert list(children) == ['a', 'b']
    assert 'a' in children
    assert 'c' not in children
    zk.delete('/test/a')
    wait_for(lambda: list(children) == ['b'])


def test_repr_names_the_path(zk):
    zk.create('/test')
    children = zk.children('/test')
    assert repr(children) == 'zc.zk.Children(/test)'
    assert repr(zk.properties('/test')) == 'zc.zk.Properties(/test)'
    zk.delete('/test')
    wait_for(lambda: repr(children) == 'DELETED: zc.zk.Children(/test)')


def test_callbacks_are_called_now_and_after_each_change(zk):
    zk.create('/test')
    seen = []

    @zk.children('/test')
    def children(children):
        seen.append(list(children))

    assert seen == [[]]
    assert isinstance(children, zc.zk.Children)
    zk.create('/test/a')
    wait_for(lambda: seen == [[], ['a']])
    zk.delete('/test/a')
    wait_for(lambda: seen == [[], ['a'], []])


def test_a_callback_that_fails_at_once_is_not_kept(zk):
    zk.create('/test')
    children = zk.children('/test')

    def bad(children):
        raise ValueError('bad')

    with pytest.raises(ValueError, match='bad'):
        children(bad)
    assert children.callbacks == []


def test_a_callback_that_fails_later_is_logged_and_kept(zk, caplog):
    zk.create('/test')
    seen = []

    def bad(children):
        seen.append(list(children))
        if len(seen) == 2:
            raise ValueError('only once')

    children = zk.children('/test')(bad)
    zk.create('/test/a')
    wait_for(lambda: 'only once' in caplog.text)
    zk.create('/test/b')
    wait_for(lambda: seen == [[], ['a'], ['a', 'b']])
    assert children.callbacks == [bad]


def test_a_callback_can_cancel_itself(zk):
    zk.create('/test')
    seen = []

    def callback(children):
        seen.append(len(children))
        if len(children) == 1:
            raise zc.zk.CancelWatch

    children = zk.children('/test')(callback)
    zk.create('/test/a')
    wait_for(lambda: not children.callbacks)
    zk.create('/test/b')
    wait_for(lambda: len(children) == 2)
    assert seen == [0, 1]
    assert children(callback).callbacks == [callback]
    zk.delete('/test/b')
    wait_for(lambda: not children.callbacks)
    children(callback)  # cancelled by its first call
    assert not children.callbacks


def test_a_slow_callback_keeps_no_registration_waiting(zk):
    zk.create('/test')
    going, go = threading.Event(), threading.Event()

    @zk.children('/test')
    def children(children):
        if len(children):
            going.set()
            go.wait(30)

    try:
        registration = zk.register('/test', 'a:1')
        assert going.wait(10)
        zk.client.delete('/test/a:1')
        wait_for(lambda: registration.reregistered)
    finally:
        go.set()
    assert list(children) == ['a:1']


def test_a_slow_callback_keeps_no_other_view_waiting(zk):
    zk.client.ensure_path('/test/slow')
    going, go = threading.Event(), threading.Event()
    seen = []

    @zk.children('/test/slow')
    def slow(children):
        if len(children):
            going.set()
            go.wait(60)
            seen.append(sorted(children))

    linked = zk.properties('/test')
    quick = zk.children('/test')
    told = []
    quick(lambda children: told.append(list(children)))
    linked(lambda properties: told.append(dict(properties)))
    try:
        zk.create('/test/slow/a')
        assert going.wait(10)
        zk.create('/test/slow/b')
        zk.create('/test/quick')
        zk.set('/test', b'{"a": 1}')
        wait_for(lambda: ['quick', 'slow'] in told and {'a': 1} in told)
        assert list(slow) == ['a']  # what its callback was called for
    finally:
        go.set()
    wait_for(lambda: seen == [['a'], ['a', 'b']])


def test_a_callback_may_use_zookeeper(zookeeper, no_leaks, zk):
    zk.create('/test')
    zk.create('/other')

    @zk.children('/test')
    def children(children):
        for name in children:
            if not zk.exists('/other/' + name):
                zk.create('/other/' + name)

    zk.create('/test/a')
    wait_for(lambda: zk.exists('/other/a'))
    assert list(children) == ['a']


@pytest.mark.parametrize('make', ['children', 'properties'])
def test_a_view_that_is_dropped_is_released(zk, make):
    zk.create('/test')
    seen = []
    view = getattr(zk, make)('/test')
    view(lambda view: seen.append(1))
    reference = weakref.ref(view)
    zk.create('/test/a')
    zk.set('/test', b'{"a": 1}')
    wait_for(lambda: len(seen) == 2)
    del view
    wait_for(lambda: reference() is None)


def test_views_that_are_dropped_delay_no_other(zk, monkeypatch):
    """They take no turn when views read a second time."""
    monkeypatch.setattr(dispatcher, 'CONFIRM_PACE_S', 600.)
    for _ in range(10):
        zk.children('/')
    view = zk.children('/')
    wait_for(lambda: not view._is_confirm_due)
    assert not zk._dispatcher._unconfirmed


def test_views_of_deleted_nodes_are_empty(zk):
    zk.create('/test', b'{"a": 1}')
    zk.create('/test/child')
    seen = []
    children = zk.children('/test')
    properties = zk.properties('/test')
    children(lambda view: seen.append('children need an argument'))
    children(lambda view=None: seen.append(('children', view)))
    properties(lambda view=None: seen.append(('properties', view)))
    del seen[:]
    zk.delete('/test/child')
    zk.delete('/test')
    wait_for(lambda: {('children', None), ('properties', None)} <= set(seen))
    wait_for(lambda: children.deleted and properties.deleted)
    assert (list(children), dict(properties)) == ([], {})
    with pytest.raises(NoNodeError, match='/test'):
        properties.update(a=2)


def test_a_node_that_comes_back_is_shown_again(zk):
    zk.create('/top')
    zk.create('/top/test', b'{"a": 1}')
    seen = []
    children = zk.children('/top/test')
    properties = zk.properties('/top/test')
    properties(lambda view=None: seen.append(view and dict(view)))
    zk.delete('/top/test')
    zk.delete('/top')
    wait_for(lambda: children.deleted and properties.deleted)
    zk.create('/top')
    zk.create('/top/test', b'{"a": 2}')
    zk.create('/top/test/child')
    wait_for(lambda: list(children) == ['child'])
    wait_for(lambda: seen == [{'a': 1}, None, {'a': 2}])
    assert not properties.deleted


def test_links_are_followed_when_a_node_is_moved(zookeeper, no_leaks, zk):
    for path in '/cms', '/cms/main', '/databases', '/databases/cms':
        zk.create(path)
    children = zk.children('/cms/main')
    assert children.real_path == '/cms/main'
    zk.ln('/databases/cms', '/cms/main')
    zk.delete('/cms/main')
    wait_for(lambda: children.real_path == '/databases/cms')
    assert children.path == '/cms/main'
    zk.create('/databases/cms/a')
    wait_for(lambda: list(children) == ['a'])


def test_a_link_that_is_turned_elsewhere_is_followed(zk):
    for path in '/a', '/a/x', '/b', '/b/y', '/c':
        zk.create(path)
    zk.ln('/a', '/c/link')
    children = zk.children('/c/link')
    assert list(children) == ['x']
    zk.ln('/b', '/c/link')
    wait_for(lambda: list(children) == ['y'])
    zk.create('/c/link')  # a child hides the link
    wait_for(lambda: children.real_path == '/c/link')
    wait_for(lambda: list(children) == [])
    zk.delete('/c/link')
    wait_for(lambda: list(children) == ['y'])


def test_a_view_needs_a_node_when_it_is_made(zk):
    with pytest.raises(NoNodeError, match='/nowhere'):
        zk.children('/nowhere')
    with pytest.raises(NoNodeError, match='/nowhere'):
        zk.properties('/nowhere')


def test_views_survive_the_session(zookeeper, zk, client):
    other = client()
    zk.create('/test')
    children = zk.children('/test')
    properties = zk.properties('/test')
    zookeeper.expire(zk.client)
    other.create('/test/a')
    other.set('/test', b'{"b": 1}')
    wait_for(lambda: list(children) == ['a'])
    wait_for(lambda: dict(properties) == {'b': 1})
    other.create('/test/b')
    wait_for(lambda: list(children) == ['a', 'b'])


def test_views_see_what_happened_while_zookeeper_was_away(
        zookeeper_server, client):
    other = client()
    other.create('/test')
    seen = []
    with zc.zk.ZooKeeper(zookeeper_server.connection_string, 5.) as zk:
        children = zk.children('/test')
        children(lambda children: seen.append(list(children)))
        zookeeper_server.kill()
        wait_for(lambda: not zk.client.connected)
        zookeeper_server.start()
        wait_for(lambda: zk.client.connected, 20)
        other.retry(other.create, '/test/a')
        wait_for(lambda: seen == [[], ['a']], 20)


def test_close_does_not_wait_for_a_stuck_callback(
        zookeeper, monkeypatch, caplog):
    monkeypatch.setattr(zc.zk.client, 'CALLBACK_TIMEOUT_S', .1)
    going, go = threading.Event(), threading.Event()
    zk = zc.zk.ZooKeeper(zookeeper.connection_string, 5.)
    zk.create('/test')

    @zk.children('/test')
    def children(children):
        if len(children):
            going.set()
            go.wait(30)

    zk.create('/test/a')
    assert going.wait(10)
    started = time.monotonic()
    with caplog.at_level(logging.WARNING, 'zc.zk'):
        zk.close()
    assert time.monotonic() - started < 5
    assert 'a task is still running' in caplog.text
    go.set()
    wait_for(lambda: 'zc.zk watches' not in [
        thread.name for thread in threading.enumerate()])
    assert list(children) == ['a']


def test_a_callback_may_close(zookeeper, no_leaks):
    zk = zc.zk.ZooKeeper(zookeeper.connection_string, 5.)
    zk.create('/test')
    closed = threading.Event()

    @zk.children('/test')
    def children(children):
        if len(children):
            zk.close()
            closed.set()

    zk.create('/test/a')
    assert closed.wait(10)
    assert list(children) == ['a']


def test_a_change_during_the_first_call_is_not_missed(zk):
    zk.create('/test')
    seen = []

    def callback(children):
        seen.append(list(children))
        if len(seen) == 1:
            zk.create('/test/a')
            wait_for(lambda: len(children) == 1)

    children = zk.children('/test')(callback)
    wait_for(lambda: seen == [[], ['a']])
    assert children.callbacks == [callback]


def test_a_node_that_becomes_unreadable_is_logged(
        zookeeper, zk, client, caplog):
    owner = client(auth_data=[('digest', 'user:secret')])
    owner.create('/test')
    children = zk.children('/test')
    owner.set_acls('/test', [make_digest_acl('user', 'secret', all=True)])
    zookeeper.expire(zk.client)  # views read their nodes again then
    wait_for(lambda: 'zc.zk.Children(/test): NoAuthError /test (READ)'
             in caplog.messages)
    assert list(children) == []
    assert not children.deleted
    owner.set_acls('/test', OPEN_ACL_UNSAFE)  # for the clean-up
