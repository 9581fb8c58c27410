"""The servers of a service: names, properties, what is known, callbacks."""
import json
import threading
import time

import pytest
import zc.zk
from kazoo.security import READ_ACL_UNSAFE
from kazoo.security import make_digest_acl
from zc.zk.servers import Server
from zc.zk.servers import Servers
from zc.zk.servers import reading
from zc.zk.sync import multiread
from zc.zk.testing.waiting import wait_for

PATH = '/cms/providers'


@pytest.fixture
def zk(zookeeper):
    with zc.zk.ZooKeeper(zookeeper.connection_string, 5.) as zk:
        zk.client.ensure_path(PATH)
        yield zk


def names(servers):
    return [server.name for server in servers]


def add(zk, *names, **properties):
    for name in names:
        zk.create(f'{PATH}/{name}', json.dumps(properties).encode())


def test_servers_have_address_and_properties(zk):
    zk.register(PATH, '127.0.0.1:80', rack='A7')
    add(zk, '[2001:DB8::7]:8080', 'web.example.com:1')
    servers = Servers(zk, PATH)
    assert len(servers) == 3
    local = servers.get('127.0.0.1:80')
    assert (local.host, local.port) == ('127.0.0.1', 80)
    assert local.properties['rack'] == 'A7'
    assert local in servers
    assert Server('127.0.0.1:80', '127.0.0.1', 80) not in servers
    six = servers.get('[2001:DB8::7]:8080')
    assert six.address == '[2001:db8::7]:8080'
    assert six.properties == {}
    assert servers.get('x') is None
    assert servers.is_known
    assert servers.stale_since is None


def test_servers_and_properties_are_followed(zk):
    servers = Servers(zk, PATH)
    assert list(servers) == []
    registration = zk.register(PATH, '127.0.0.1:80', weight=1)
    wait_for(lambda: names(servers) == ['127.0.0.1:80'])
    registration.update(weight=2)
    wait_for(lambda: [server.properties['weight']
                      for server in servers] == [2])
    add(zk, '127.0.0.1:81', weight=7)
    wait_for(lambda: len(servers) == 2)
    zk.set(f'{PATH}/127.0.0.1:81', b'{"weight": 8}')
    wait_for(lambda: servers.get('127.0.0.1:81').properties
             == {'weight': 8})
    registration.withdraw()
    wait_for(lambda: names(servers) == ['127.0.0.1:81'])
    # A node that is deleted and made again at once has its new properties.
    with_new = zk.client.transaction()
    with_new.delete(f'{PATH}/127.0.0.1:81')
    with_new.create(f'{PATH}/127.0.0.1:81', b'{"weight": 9}')
    with_new.commit()
    wait_for(lambda: servers.get('127.0.0.1:81').properties
             == {'weight': 9})


def test_callbacks_are_told_exactly_what_has_changed(zk):
    add(zk, 'a:1', 'b:1')
    changes = []
    servers = Servers(zk, PATH)(changes.append)
    assert isinstance(servers, Servers)
    assert names(changes[0].added) == ['a:1', 'b:1']
    assert changes[0].servers == tuple(servers)
    zk.set(f'{PATH}/a:1', b'{"weight": 2}')
    wait_for(lambda: len(changes) == 2)
    assert names(changes[1].changed) == ['a:1']
    assert changes[1].changed[0].properties == {'weight': 2}
    assert not changes[1].added
    zk.delete(f'{PATH}/b:1')
    wait_for(lambda: len(changes) == 3)
    assert names(changes[2].removed) == ['b:1']
    assert names(changes[2].servers) == ['a:1']
    # What changes nothing for clients is not told.
    zk.create(f'{PATH}/no address')
    zk.set(f'{PATH}/a:1', b'{"weight":2}')
    add(zk, 'c:1')
    wait_for(lambda: len(changes) == 4)
    assert names(changes[3].added) == ['c:1']
    assert not changes[3].changed


def test_what_a_callback_missed_is_told_again(zk):
    changes = []

    def callback(change):
        if len(change.servers) == 1:
            raise ValueError('not now')
        changes.append(change)

    servers = Servers(zk, PATH)(callback)
    assert [change.added for change in changes] == [()]
    add(zk, 'a:1')
    wait_for(lambda: len(servers) == 1)
    add(zk, 'b:1')
    wait_for(lambda: len(changes) == 2)
    assert names(changes[1].added) == ['a:1', 'b:1']


def test_a_callback_can_cancel_itself(zk):
    def callback(change):
        raise zc.zk.CancelWatch

    servers = Servers(zk, PATH)(callback)
    assert servers.callbacks == []
    assert servers._told == {}


def test_names_that_are_no_addresses_are_left_out(zk, caplog):
    evil = '127.0.0.1:1; } server { listen 127.0.0.1:21571; }'
    add(zk, evil, '0.0.0.0:80', 'a:1', '\u202e:1', '[0::1]:80', '[::1]:80')
    servers = Servers(zk, PATH)
    assert names(servers) == ['[::1]:80', 'a:1']
    assert servers.refused.keys() == {evil, '0.0.0.0:80', '\u202e:1',
                                      '[0::1]:80'}
    lines = [line for line in caplog.messages if 'left out' in line]
    assert len(lines) == 4
    assert any('listen 127.0.0.1:21571' in line for line in lines)
    assert all(line.isprintable() for line in lines)
    # Once for each name, as long as it is there.
    add(zk, 'b:1')
    wait_for(lambda: len(servers) == 3)
    zk.delete(f'{PATH}/{evil}')
    wait_for(lambda: evil not in servers.refused)
    assert [line for line in caplog.messages if 'left out' in line] == lines


def test_thousands_of_bad_names_are_not_a_line_each(zk, caplog):
    for start in range(0, 3000, 500):
        transaction = zk.client.transaction()
        for number in range(start, start + 500):
            transaction.create(f'{PATH}/bad {number}')
        transaction.commit()
    servers = Servers(zk, PATH)
    assert len(servers.refused) == 3000
    lines = [line for line in caplog.messages if 'left out' in line]
    assert len(lines) == 21
    assert '2980 more names are left out' in lines[-1]


def test_hostile_data_are_no_properties(zk, caplog):
    deep = b'{"a":' + b'[' * 10000 + b']' * 10000 + b'}'
    for name, data in {'a:1': deep, 'b:1': b'\xff\0', 'c:1': b'[1]',
                       'd:1': b'{"x": "' + b'y' * 10 ** 5 + b'"}',
                       'e:1': b'{"weight": 3}'}.items():
        zk.create(f'{PATH}/{name}', data)
    servers = Servers(zk, PATH)
    assert names(servers) == ['a:1', 'b:1', 'c:1', 'd:1', 'e:1']
    assert set(servers.get('a:1').properties) == {'string_value'}
    assert servers.get('d:1').properties == {}
    assert servers.get('e:1').properties == {'weight': 3}
    assert 'd:1: 100009 bytes of data are no properties' in caplog.text


def test_a_node_that_may_not_be_read_hides_no_other(zk):
    add(zk, 'a:1', weight=1)
    zk.client.create(f'{PATH}/b:1', b'{"weight": 2}',
                     acl=[make_digest_acl('u', 'p', all=True)])
    servers = Servers(zk, PATH)
    assert names(servers) == ['a:1', 'b:1']
    assert servers.get('b:1').properties == {}
    zk.set(f'{PATH}/a:1', b'{"weight": 5}')
    wait_for(lambda: servers.get('a:1').properties == {'weight': 5})


def test_unknown_is_not_empty(zk, caplog):
    changes = []
    servers = Servers(zk, '/new/providers')(changes.append)
    assert not servers.is_known
    assert servers.stale_since is not None
    assert changes == []
    zk.client.ensure_path('/new/providers')
    wait_for(lambda: servers.is_known)
    assert servers.stale_since is None
    assert len(servers) == 0
    wait_for(lambda: len(changes) == 1)
    assert changes[0].servers == ()


def test_servers_of_a_deleted_node_are_those_known_last(zk):
    add(zk, 'a:1')
    changes = []
    servers = Servers(zk, PATH)(changes.append)
    before = time.time()
    zk.delete_recursive(PATH, force=True)
    wait_for(lambda: servers.stale_since is not None)
    assert before <= servers.stale_since <= time.time()
    # The deletion of the child came first, or both at once.
    assert names(servers) in (['a:1'], [])
    zk.client.ensure_path(PATH)
    add(zk, 'b:1')
    wait_for(lambda: names(servers) == ['b:1'])
    assert servers.stale_since is None


def test_links_are_followed(zk):
    zk.client.ensure_path('/blue')
    zk.client.ensure_path('/green')
    zk.create('/blue/a:1')
    zk.create('/green/b:1')
    zk.create('/site', b'{"servers ->": "/blue"}')
    servers = Servers(zk, '/site/servers')
    assert names(servers) == ['a:1']
    zk.set('/site', b'{"servers ->": "/green"}')
    wait_for(lambda: names(servers) == ['b:1'])
    assert servers.real_path == '/green'
    zk.create('/green/c:1')
    wait_for(lambda: len(servers) == 2)
    zk.set('/green/c:1', b'{"weight": 3}')
    wait_for(lambda: servers.get('c:1').properties == {'weight': 3})


def test_while_zookeeper_is_away_nothing_changes(zookeeper_server):
    with zc.zk.ZooKeeper(zookeeper_server.connection_string, 20.) as zk:
        zk.client.ensure_path(PATH)
        add(zk, 'a:1', weight=1)
        changes = []
        servers = Servers(zk, PATH)(changes.append)
        children = zk.children(PATH)
        properties = zk.properties(PATH)
        before = time.time()
        zookeeper_server.stop()
        for view in servers, children, properties:
            wait_for(lambda view=view: view.stale_since is not None)
            assert before <= view.stale_since <= time.time()
        assert names(servers) == list(children) == ['a:1']
        zookeeper_server.start()
        for view in servers, children, properties:
            wait_for(lambda view=view: view.stale_since is None)
        # The watches are there again.
        zk.set(f'{PATH}/a:1', b'{"weight": 2}')
        wait_for(lambda: servers.get('a:1').properties == {'weight': 2})
        assert len(changes) == 2


def test_a_view_that_does_not_watch_is_as_old_as_its_reading(zk):
    before = time.time()
    properties = zk.properties(PATH, watch=False)
    assert before <= properties.stale_since <= time.time()


def test_what_cannot_be_read_any_more_is_stale(zk):
    children = zk.children(PATH)
    assert children.stale_since is None
    zk.client.set_acls(PATH, [make_digest_acl('u', 'p', all=True)])
    before = time.time()
    children.refresh()
    assert before <= children.stale_since <= time.time()


def test_a_thousand_nodes_are_read_in_one_request(zk, monkeypatch):
    for start in range(0, 1000, 500):
        transaction = zk.client.transaction()
        for number in range(start, start + 500):
            transaction.create(f'{PATH}/10.0.{number // 250}.{number % 250}'
                               ':80', b'{"number": %d}' % number)
        transaction.commit()
    sent = []
    send = multiread.send
    monkeypatch.setattr(
        multiread, 'send', lambda client, reads: sent.append(len(reads))
        or send(client, reads))
    servers = Servers(zk, PATH)
    assert sent == [1000]
    assert {server.properties['number'] for server in servers} \
        == set(range(1000))
    # One change reads one node.
    zk.set(f'{PATH}/10.0.1.1:80', b'{}')
    wait_for(lambda: servers.get('10.0.1.1:80').properties == {})
    zk.delete(f'{PATH}/10.0.1.2:80')
    wait_for(lambda: len(servers) == 999)
    assert sent == [1000, 1]


def test_servers_that_come_and_go_leave_nothing_behind(zk):
    add(zk, 'stays:1')
    servers = Servers(zk, PATH)
    for number in range(20):
        add(zk, f'a{number}:1')
        wait_for(lambda: len(servers) == 2)
        zk.delete(f'{PATH}/a{number}:1')
        wait_for(lambda: len(servers) == 1)
    assert servers._nodes.keys() == servers._fresh == {'stays:1'}
    observed = {path for path in zk._dispatcher._observers
                if path.startswith(PATH + '/')}
    assert observed == {PATH + '/stays:1'}


def test_an_old_server_is_asked_for_each_node(zk, monkeypatch):
    class Unknown(multiread.MultiRead):
        type = 99

    monkeypatch.setattr(multiread, 'MultiRead', Unknown)
    add(zk, 'a:1', 'b:1', weight=4)
    servers = Servers(zk, PATH)
    assert [server.properties for server in servers] == [{'weight': 4}] * 2


def test_batches_are_bounded():
    sizes = {str(number): reading.MAX_DATA_BYTES for number in range(40)}
    batches = list(reading._batches(sizes))
    assert [len(batch) for batch in batches] == [16, 16, 8]
    assert [name for batch in batches for name in batch] == list(sizes)
    assert [len(batch) for batch in reading._batches(
        dict.fromkeys(map(str, range(1500)), 0))] == [1024, 476]
    assert list(reading._batches({})) == []


def test_events_of_a_moment_are_read_together(zk, monkeypatch):
    servers = Servers(zk, PATH)
    held = threading.Event()
    reads = []
    get_children = zk._dispatcher.get_children
    monkeypatch.setattr(
        zk._dispatcher, 'get_children',
        lambda path, watch: reads.append(path) or get_children(path, watch))
    zk._dispatcher.run(servers, lambda: held.wait(30))
    transaction = zk.client.transaction()
    for number in range(50):
        transaction.create(f'{PATH}/a:{number + 1}', b'{}',
                           READ_ACL_UNSAFE)
    transaction.commit()
    held.set()
    wait_for(lambda: len(servers) == 50)
    assert len(reads) <= 2
