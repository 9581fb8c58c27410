"""Spoil what views read: they show what ZooKeeper has a moment later."""
import struct

import pytest
import zc.zk
from zc.zk.connection.session import forget_session
from zc.zk.encoding import encode
from zc.zk.servers import Servers
from zc.zk.testing.waiting import wait_for
from zc_zk_support import corruption
from zc_zk_support.corruption import TO_CLIENT
from zc_zk_support.corruption import TO_SERVER
from zc_zk_support.corruption import Corruption

PATH = '/providers'
NAME = '192.0.2.7:8080'
DATA = encode({'a': 1})
#: Types of requests.
EXISTS, GET_DATA, GET_CHILDREN2 = 3, 4, 12
#: Offset of the error code in an answer, with its length.
CODE = 16

VIEWS = {
    'children': lambda zk: zk.children(PATH),
    'properties': lambda zk: zk.properties(f'{PATH}/{NAME}'),
    'linked properties': lambda zk: zk.properties('/links'),
    'servers': lambda zk: Servers(zk, PATH),
}


def shown(view):
    """Return what a view shows, to be compared."""
    if isinstance(view, Servers):
        return {name: dict(server.properties)
                for name, server in view.data.items()}
    return dict(view) if isinstance(view, zc.zk.Properties) else list(view)


@pytest.fixture
def proxy(zookeeper):
    with Corruption(zookeeper.connection_string) as proxy:
        yield proxy


@pytest.fixture
def zk(proxy):
    with zc.zk.ZooKeeper(proxy.connection_string, 10.) as zk:
        yield zk


@pytest.fixture
def honest(zookeeper):
    """A ZooKeeper object that nobody lies to."""
    with zc.zk.ZooKeeper(zookeeper.connection_string, 10.) as zk:
        zk.create(PATH)
        zk.create(f'{PATH}/{NAME}', DATA)
        zk.create('/links', encode({'a =>': f'{PATH}/{NAME}'}))
        yield zk


ANSWERS = {
    'another name': ('children', corruption.replace(b'.7:8080', b'.8:8080')),
    'another name of a server': (
        'servers', corruption.replace(b'.7:8080', b'.8:8080')),
    'a name that is no server': (
        'servers', corruption.replace(b'.7:8080', b'.7/8080')),
    'another value': ('properties', corruption.replace(b'"a":1', b'"a":3')),
    'no JSON': ('properties', corruption.replace(b'"a":1', b'"a";1')),
    'another value of a server': (
        'servers', corruption.replace(b'"a":1', b'"a":3')),
}


@pytest.mark.parametrize('what', ANSWERS)
def test_an_answer_with_changed_payload(honest, proxy, zk, what):
    name, spoil = ANSWERS[what]
    spoil = corruption.Once(spoil)
    proxy.arm(TO_CLIENT, spoil, count=10 ** 6)
    view = VIEWS[name](zk)
    assert spoil.done
    right = shown(VIEWS[name](honest))
    seen = []
    view(lambda *args: seen.append(shown(view)))
    wait_for(lambda: shown(view) == right)
    wait_for(lambda: seen[-1:] == [right])


@pytest.mark.parametrize('name', [
    'properties', 'linked properties', 'servers'])
def test_an_answer_after_a_change(honest, proxy, zk, name):
    spoil = corruption.Once(corruption.replace(b'"a":2', b'"a":3'))
    view = VIEWS[name](zk)
    proxy.arm(TO_CLIENT, spoil, count=10 ** 6)
    honest.properties(f'{PATH}/{NAME}').update(a=2)
    wait_for(lambda: spoil.done)
    right = shown(VIEWS[name](honest))
    wait_for(lambda: shown(view) == right)


def test_an_answer_that_there_is_no_node(honest, proxy, zk):
    view = VIEWS['properties'](zk)
    spoil = corruption.Once(lambda frame: corruption.overwrite(
        CODE, struct.pack('!i', -101))(frame) if b'"a":2' in frame else frame)
    proxy.arm(TO_CLIENT, spoil, count=10 ** 6)
    honest.properties(f'{PATH}/{NAME}').update(a=2)
    wait_for(lambda: spoil.done)
    wait_for(lambda: not view.deleted and shown(view) == {'a': 2})


REQUESTS = {'children': (GET_CHILDREN2, b'/providers'),
            'properties': (GET_DATA, b'/providers/'),
            'servers': (EXISTS, b'/providers/')}


@pytest.mark.parametrize('way', ['watch that is not set', 'another node'])
@pytest.mark.parametrize('name', REQUESTS)
def test_a_request_that_sets_no_watch(honest, proxy, zk, name, way):
    """The next change is seen, once the view has read again."""
    if way == 'another node':
        honest.create('/providerz')
        honest.create(f'/providerz/{NAME}', DATA)
    type_, path = REQUESTS[name]
    spoil = corruption.Once(lambda frame: frame if path not in frame else
                 frame.replace(b'/providers', b'/providerz')
                 if way == 'another node' else frame[:-1] + b'\0')
    proxy.arm(TO_SERVER, spoil, type_=type_, count=10 ** 6)
    view = VIEWS[name](zk)
    assert spoil.done
    wait_for(lambda: not view._is_confirm_due)
    honest.properties(f'{PATH}/{NAME}').update(a=2)
    honest.register(PATH, '192.0.2.9:80')
    right = shown(VIEWS[name](honest))
    wait_for(lambda: shown(view) == right)


@pytest.mark.parametrize('name', VIEWS)
def test_what_does_not_change_is_read_twice(honest, proxy, zk, name):
    """A node that rests costs nothing; nor does one that is not equal to
    itself."""
    honest.client.set(f'{PATH}/{NAME}', b'{"a": NaN}')
    view = VIEWS[name](zk)
    confirmed = []
    confirm = view.confirm
    view.confirm = lambda: (confirm(), confirmed.append(True))
    wait_for(lambda: confirmed)
    assert not view._is_confirm_due
    # After a new session everything is read once more.
    session = zk.client.client_id
    forget_session(zk.client)
    wait_for(lambda: zk.client.client_id not in (None, session))
    wait_for(lambda: view.stale_since is None)
    assert not view._is_confirm_due
