"""The runner with a real ZooKeeper and real sockets, in this process."""
import http.client
import json
import os
import signal
import socket
import sys
import threading

import pytest
import zc.monitor
from zc.zk.testing.leaks import no_leaks
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.running import PATH
from zkzopeserver_support.running import application
from zkzopeserver_support.running import get
from zkzopeserver_support.running import running
from zope.server.options import section_name
from zope.server.switching import PYTHON_S

import zc.zkzopeserver
from zc.zkzopeserver import signals
from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.errors import ListenError
from zc.zkzopeserver.errors import RegistrationError
from zc.zkzopeserver.options import OptionsError
from zc.zkzopeserver.testing import NotServing


def nodes(tree):
    """The data of each provider, by its name."""
    return {name: json.loads(tree.get(f'{PATH}/{name}')[0])
            for name in tree.get_children(PATH)}


def test_the_main_job(zookeeper, tree):
    with running(zookeeper):
        (address, data), = nodes(tree).items()
        assert data == {'pid': os.getpid()}
        host, port = address.split(':')
        assert get(address, '/some/path') == (200, f'{port} /some/path')
        stat = tree.exists(f'{PATH}/{address}')
        assert stat.ephemeralOwner
    assert nodes(tree) == {}


@pytest.mark.parametrize('options, interval_s', [
    ({}, 0.002), ({'switch_interval': '0.001'}, 0.001),
    ({'switch_interval': '0'}, PYTHON_S),
    ({'metrics': '127.0.0.1:0'}, 0.001),
    ({'metrics': '127.0.0.1:0', 'switch_interval': '0.002'}, 0.002),
    ({'metrics': '127.0.0.1:0', 'switch_interval': '0'}, PYTHON_S)])
def test_threads_take_turns_more_often_while_it_serves(
        embedded, embedded_tree, options, interval_s):
    before = sys.getswitchinterval()
    sys.setswitchinterval(PYTHON_S)
    try:
        with running(embedded, **options):
            assert sys.getswitchinterval() == pytest.approx(interval_s)
        assert sys.getswitchinterval() == pytest.approx(PYTHON_S)
    finally:
        sys.setswitchinterval(before)


def test_the_entry_point_is_what_paste_finds(zookeeper, tree, tmp_path):
    from paste.deploy import loadserver
    ini = tmp_path / 'web.ini'
    ini.write_text(
        '[server:main]\nuse = egg:zc.zkzopeserver\n'
        f'zookeeper = {zookeeper.connection_string}\npath = {PATH}\n'
        'host = 127.0.0.1\nderegister_wait = 0\n')
    serve = loadserver(f'config:{ini}')
    thread = threading.Thread(target=serve, args=(application,))
    thread.start()
    assert zc.zkzopeserver.event_for_testing.wait(30)
    assert len(nodes(tree)) == 1
    zc.zkzopeserver.stop_for_testing(thread)
    assert not thread.is_alive()
    assert nodes(tree) == {}


def test_again_and_again_without_leaks(zookeeper, tree):
    with running(zookeeper):
        pass
    with no_leaks():
        for _ in range(3):
            with running(zookeeper, monitor_server='127.0.0.1:0'):
                address, = nodes(tree)
                assert get(address)[0] == 200
            assert nodes(tree) == {}


def test_a_given_port(zookeeper, tree):
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    with running(zookeeper, port=str(port)):
        assert list(nodes(tree)) == [f'127.0.0.1:{port}']


def test_an_empty_host_is_every_address_of_the_machine(zookeeper, tree):
    from zc.zk.addresses import node_names
    with running(zookeeper, host=''):
        names = sorted(nodes(tree))
        port = names[0].rpartition(':')[2]
        assert names == sorted(node_names(('', port)))
        assert get(f'127.0.0.1:{port}')[0] == 200
        for name in names:
            assert get(name)[0] == 200


def test_ipv6(zookeeper, tree):
    with running(zookeeper, host='[::1]'):
        name, = nodes(tree)
        assert name.startswith('[::1]:')
        assert get(name)[0] == 200


def test_the_path_may_lead_through_links(zookeeper, tree):
    from zc.zk import ZooKeeper
    zk = ZooKeeper(zookeeper.connection_string)
    zk.import_tree(f'/links\n  foo -> {PATH}\n')
    zk.close()
    with running(zookeeper, path='/links/foo'):
        assert len(nodes(tree)) == 1


def test_the_session_timeout_is_in_milliseconds(zookeeper, tree):
    sessions = []
    real = zookeeper_client_timeouts(sessions)
    with real, running(zookeeper, session_timeout='4321'):
        assert sessions == [4.321]


def zookeeper_client_timeouts(found):
    """What sessions are asked for, seen where kazoo is handed it."""
    import unittest.mock

    from kazoo.client import KazooClient
    original = KazooClient.__init__

    def init(self, *args, **options):
        found.append(options['timeout'])
        original(self, *args, **options)

    return unittest.mock.patch.object(KazooClient, '__init__', init)


def test_threads(zookeeper, tree):
    """There are as many requests at once as threads."""
    together = threading.Barrier(4)

    def meeting(environ, start_response):
        together.wait(20)
        return application(environ, start_response)

    with running(zookeeper, meeting, threads='4'):
        address, = nodes(tree)
        results = []
        clients = [threading.Thread(
                       target=lambda: results.append(get(address)))
                   for _ in range(4)]
        for each in clients:
            each.start()
        for each in clients:
            each.join()
        assert [status for status, _ in results] == [200] * 4


def test_limits(zookeeper, tree):
    """What the engine's limits are is for the section to say."""
    with running(zookeeper, max_request_line='50', max_request_fields='3',
                 max_request_body_size='5'):
        address, = nodes(tree)
        assert get(address, '/' + 'a' * 36)[0] == 200
        assert get(address, '/' + 'a' * 37)[0] == 414
        for headers, status in (({'X-A': 'a'}, 431),
                                ({'Content-Length': '6'}, 413)):
            connection = http.client.HTTPConnection(address, timeout=10)
            connection.request('POST', '/', headers=headers)
            assert connection.getresponse().status == status
            connection.close()


def test_the_monitor_server(zookeeper, tree):
    with running(zookeeper, monitor_server='127.0.0.1:0'):
        (_, data), = nodes(tree).items()
        assert sorted(data) == ['monitor', 'pid']
        assert 'help' in zc.monitor.ask(data['monitor'], 'help')
    with pytest.raises(OSError):
        zc.monitor.ask(data['monitor'], 'help')


def test_a_monitor_server_on_all_interfaces(zookeeper, tree):
    with running(zookeeper, monitor_server=':0'):
        (_, data), = nodes(tree).items()
        host, port = data['monitor'].split(':')
        assert host == '127.0.0.1' and int(port)


def test_a_monitor_server_on_a_unix_socket(zookeeper, tree, tmp_path):
    path = str(tmp_path / 'monitor.sock')
    with running(zookeeper, monitor_server=path):
        (_, data), = nodes(tree).items()
        assert data['monitor'] == path
        assert 'help' in zc.monitor.ask(path, 'help')
    assert not os.path.exists(path)


def test_properties(zookeeper, tree):
    with running(zookeeper, properties="version = '1.0'\nweight = 3"):
        (_, data), = nodes(tree).items()
        assert data == {'pid': os.getpid(), 'version': '1.0', 'weight': 3}


def test_subscribers_may_add_properties(zookeeper, tree):
    import zc.zk.event

    def add(event):
        event.properties['extra'] = 1

    zc.zk.event.subscribers.append(add)
    try:
        with running(zookeeper):
            (_, data), = nodes(tree).items()
            assert data['extra'] == 1
    finally:
        zc.zk.event.subscribers.remove(add)


def test_advertise(zookeeper, tree):
    with running(zookeeper, advertise='www.example.com:80'):
        assert list(nodes(tree)) == ['www.example.com:80']


def test_ready(zookeeper, tree):
    calls = []

    def warming(environ, start_response):
        calls.append(environ['PATH_INFO'])
        assert nodes(tree) == {}
        start_response('503 Warming' if len(calls) < 3 else '200 OK',
                       [('Content-Length', '0')])
        return [b'']

    with running(zookeeper, warming, ready='/up'):
        assert calls == ['/up'] * 3
        assert len(nodes(tree)) == 1


def failure(zookeeper, **options):
    """The exception that `run` ends with."""
    with no_leaks():
        with pytest.raises(NotServing) as caught:
            with running(zookeeper, **options):
                pass
        cause = caught.value.__cause__
        caught.value.__traceback__ = None
        cause.__traceback__ = None
    return cause


def test_options_are_refused_before_a_socket_exists(zookeeper):
    reason = failure(zookeeper, port='x', pth='/')
    assert isinstance(reason, OptionsError)
    assert len(reason.problems) == 2


def test_where_the_options_come_from():
    assert section_name({'__file__': '/etc/web.ini'}) == (
        'server section of web.ini')
    assert section_name(None) == ''


def test_a_port_in_use(zookeeper):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        reason = failure(zookeeper, port=str(port))
    assert isinstance(reason, ListenError)
    assert f'127.0.0.1:{port}' in str(reason)
    assert 'in use' in str(reason)


def test_a_monitor_port_in_use(zookeeper):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        reason = failure(zookeeper, monitor_server=f'127.0.0.1:{port}')
    assert isinstance(reason, ListenError)
    assert "option 'monitor_server'" in str(reason)
    assert f'127.0.0.1:{port}' in str(reason)


def test_a_path_that_is_not_there(zookeeper):
    reason = failure(zookeeper, path='/nosuch/path')
    assert isinstance(reason, RegistrationError)
    assert reason.exit_status == 3
    assert '/nosuch/path' in str(reason)
    assert 'zookeeper_import' in str(reason)


@pytest.mark.parametrize('content, mode, said', [
    ('digest user:password', 0o644, 'read or written by others'),
    ('basic user:password', 0o600, 'digest USER:PASSWORD'),
    ('digest user', 0o600, 'digest USER:PASSWORD'),
    ('', 0o600, 'digest USER:PASSWORD'),
    (None, None, 'cannot read'),
])
def test_bad_auth_files(zookeeper, tmp_path, content, mode, said):
    path = tmp_path / 'auth'
    if content is not None:
        path.write_text(content)
        path.chmod(mode)
    reason = failure(zookeeper, zookeeper_auth_file=str(path))
    assert isinstance(reason, ConfigurationError)
    assert said in str(reason)
    assert 'password' not in str(reason).replace('PASSWORD', '')


def test_an_auth_file(zookeeper, tree, tmp_path):
    path = tmp_path / 'auth'
    path.write_text('digest user:password\n')
    path.chmod(0o600)
    with running(zookeeper, zookeeper_auth_file=str(path)):
        name, = tree.get_children(PATH)
        acls = tree.get_acls(f'{PATH}/{name}')[0]
        assert {(acl.id.scheme, acl.perms) for acl in acls} == {
            ('digest', 31), ('world', 1)}
        assert json.loads(tree.get(f'{PATH}/{name}')[0])


def test_zookeeper_away_fails():
    class Away:
        name = 'away'
        with socket.create_server(('127.0.0.1', 0)) as free:
            connection_string = f'127.0.0.1:{free.getsockname()[1]}'

    reason = failure(Away)
    assert isinstance(reason, RegistrationError)
    assert Away.connection_string in str(reason)


def test_serve_while_the_path_is_not_there(zookeeper, client):
    found = client()
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    thread = threading.Thread(target=zc.zkzopeserver.run, args=(application,),
                              kwargs=dict(
        zookeeper=zookeeper.connection_string, path=PATH, host='127.0.0.1',
        port=str(port), wait='serve', deregister_wait='0'))
    thread.start()
    try:
        wait_for(lambda: answers(port), 20, 'an answer')
        assert not zc.zkzopeserver.event_for_testing.is_set()
        found.ensure_path(PATH)
        assert zc.zkzopeserver.event_for_testing.wait(20)
        assert list(nodes(found)) == [f'127.0.0.1:{port}']
    finally:
        zc.zkzopeserver.stop_for_testing(thread)


def answers(port):
    """Whether there is an answer at the port."""
    try:
        return get(f'127.0.0.1:{port}')[0] == 200
    except OSError:
        return False


@pytest.mark.parametrize('number', signals.STOP_SIGNALS)
def test_signals_stop_it_and_handlers_are_restored(zookeeper, tree, number):
    before = [signal.getsignal(each) for each in signals.STOP_SIGNALS]
    seen = []

    def stop_when_registered():
        assert zc.zkzopeserver.event_for_testing.wait(30)
        seen.extend(nodes(tree))
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=stop_when_registered)
    thread.start()
    zc.zkzopeserver.run(
        application, zookeeper=zookeeper.connection_string, path=PATH,
        host='127.0.0.1', deregister_wait='0')
    thread.join()
    assert len(seen) == 1
    assert nodes(tree) == {}
    assert [signal.getsignal(each)
            for each in signals.STOP_SIGNALS] == before


def test_what_is_in_flight_is_finished(zookeeper, tree):
    entered = threading.Event()
    leave = threading.Event()
    results = []

    def slow(environ, start_response):
        entered.set()
        leave.wait(20)
        return application(environ, start_response)

    with running(zookeeper, slow):
        address, = nodes(tree)
        asking = threading.Thread(target=lambda: results.append(get(address)))
        asking.start()
        assert entered.wait(20)
        stopping = threading.Thread(target=zc.zkzopeserver.stop_for_testing)
        stopping.start()
        wait_for(lambda: not tree.get_children(PATH), 10, 'the node to go')
        assert stopping.is_alive() and not results
        leave.set()
        stopping.join()
        asking.join()
    assert results[0][0] == 200
