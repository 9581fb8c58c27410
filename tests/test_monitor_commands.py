"""The monitor commands of a server, asked over its monitor socket."""
import gc
import json
import logging
import os
import threading
import weakref

import pytest
import zc.monitor
from zc.monitor import commands as registry
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.running import PATH
from zkzopeserver_support.running import application
from zkzopeserver_support.running import get
from zkzopeserver_support.running import running
from zope.server.form import form

from zc.zkzopeserver import options
from zc.zkzopeserver.errors import ListenError
from zc.zkzopeserver.service import Service


@pytest.fixture
def monitored(zookeeper, tree):
    """Return a function that asks the monitor of a running server."""
    with running(zookeeper, monitor_server='127.0.0.1:0'):
        address, = tree.get_children(PATH)
        data = json.loads(tree.get(f'{PATH}/{address}')[0])
        yield lambda line: zc.monitor.ask(data['monitor'], line)


def test_status(monitored, tree):
    address, = tree.get_children(PATH)
    get(address)

    def after_the_request():
        status = json.loads(monitored('status json'))
        return (status['requests'], status['in_flight']) == (1, 0) and status

    # It counts as served when its answer is on its way to us, and is in
    # flight for a moment longer.
    status = wait_for(after_the_request)
    assert 0 <= status.pop('uptime') < 300
    assert status == {
        'state': 'registered', 'nodes': [f'{PATH}/{address}'],
        'trouble': None, 'deregistered': False, 'reregistered': 0,
        'last_error': None, 'address': address, 'pid': os.getpid(),
        'threads': 1,
        'requests': 1, 'in_flight': 0, 'queued': 0, 'busy_threads': 0,
        'connections': status['connections'], 'form': form()}
    text = monitored('status')
    assert 'state: registered\n' in text
    assert f'nodes: {PATH}/{address}\n' in text
    assert 'last_error: none\n' in text


def test_status_in_no_known_form(monitored):
    assert monitored('status xml') == "'xml' is not text or json\n"


def test_out_of_rotation_and_back(monitored, tree):
    address, = tree.get_children(PATH)
    assert monitored('deregister') == 'withdrawn\n'
    assert tree.get_children(PATH) == []
    assert get(address)[0] == 200
    # A mark tells followers that it was done on purpose.
    above = PATH.rpartition('/')[0]
    assert f'withdrawn-{address}' in tree.get_children(above)
    assert monitored('register') == 'registered\n'
    wait_for(lambda: tree.get_children(PATH) == [address])
    wait_for(lambda: tree.get_children(above) == ['providers'])


def test_drain(zookeeper, tree):
    with running(zookeeper, monitor_server='127.0.0.1:0') as thread:
        address, = tree.get_children(PATH)
        monitor = json.loads(tree.get(f'{PATH}/{address}')[0])['monitor']
        assert zc.monitor.ask(monitor, 'drain') == 'stopping\n'
        thread.join(20)
        assert not thread.is_alive()
        assert tree.get_children(PATH) == []


def test_servers(monitored, tree):
    address, = tree.get_children(PATH)
    assert address.split(':')[0] in monitored('servers')
    assert PATH in monitored('servers')


def test_threads(monitored):
    answer = monitored('threads')
    assert answer.startswith(f'pid {os.getpid()}, ')
    assert 'Thread MainThread' in answer
    assert 'test_monitor_commands.py' in answer


def test_loglevel(monitored):
    logger = logging.getLogger('zkzopeserver_support.some')
    name = logger.name
    try:
        assert monitored(f'loglevel {name} debug') == f'{name}: DEBUG\n'
        assert logger.level == logging.DEBUG
        assert monitored(f'loglevel {name}') == f'{name}: DEBUG\n'
        assert monitored(f'loglevel {name} 35') == f'{name}: Level 35\n'
        assert 'is not NOTSET' in monitored(f'loglevel {name} loud')
        assert monitored(f'loglevel {name} NOTSET').startswith(name)
        assert logger.level == logging.NOTSET
    finally:
        logger.setLevel(logging.NOTSET)
    assert monitored('loglevel').startswith('root: ')


def test_busy_threads_do_not_keep_operators_waiting(zookeeper, tree):
    entered = threading.Event()
    leave = threading.Event()

    def stuck(environ, start_response):
        entered.set()
        leave.wait(30)
        return application(environ, start_response)

    with running(zookeeper, stuck, monitor_server='127.0.0.1:0'):
        address, = tree.get_children(PATH)
        monitor = json.loads(tree.get(f'{PATH}/{address}')[0])['monitor']
        askers = [threading.Thread(target=get, args=(address, '/', 30))
                  for _ in range(3)]
        for asker in askers:
            asker.start()
        try:
            assert entered.wait(20)

            def status():
                return json.loads(zc.monitor.ask(monitor, 'status json'))

            wait_for(lambda: status()['queued'] == 2, 10, 'the queue')
            assert status()['busy_threads'] == 1
            assert status()['in_flight'] == 3
        finally:
            leave.set()
            for asker in askers:
                asker.join()


def make_service(zookeeper, monitor_server='127.0.0.1:0'):
    """Return a service with a monitor, not started."""
    return Service(options.parse({
        'zookeeper': zookeeper.connection_string, 'path': PATH,
        'host': '127.0.0.1', 'deregister_wait': '0',
        'monitor_server': monitor_server}, ''), application)


def test_nothing_of_a_stopped_service_stays(zookeeper, tree):
    service = make_service(zookeeper)
    service.start()
    assert service.registered.wait(30)
    assert 'status' in registry.names()
    service.stop()
    assert not {'status', 'threads', 'drain'} & set(registry.names())
    gone = weakref.ref(service)
    del service
    # Threads that have been told to end may hold it for a moment.
    wait_for(lambda: gc.collect() >= 0 and gone() is None)


def test_a_service_takes_only_its_own_commands_away(zookeeper, tree):
    one, other = make_service(zookeeper), make_service(zookeeper)
    for service in (one, other):
        service.start()
        assert service.registered.wait(30)
    one.stop()
    for command in ('status', 'threads', 'loglevel'):
        assert not zc.monitor.ask(
            other.parts.monitor.address, command).startswith('Invalid')
    other.stop()
    assert not {'status', 'threads', 'drain'} & set(registry.names())


def test_a_monitor_that_cannot_listen_leaves_no_commands(zookeeper, tree):
    with zc.monitor.Listener(('127.0.0.1', 0)) as taken:
        host, port = taken.address
        service = make_service(zookeeper, f'{host}:{port}')
        with pytest.raises(ListenError, match='monitor_server'):
            service.start()
        assert 'status' not in registry.names()
        service.stop()
