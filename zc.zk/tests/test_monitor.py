"""The command ``servers`` and the scripts that ask for it."""
import io
import json
import socket
import threading

import pytest
import zc.zk
from zc.zk import monitor
from zc.zk.testing.ports import free_port


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    monkeypatch.setattr(monitor, 'registered', {})
    yield
    if monitor.notify in zc.zk.event.subscribers:
        zc.zk.event.subscribers.remove(monitor.notify)


def registering(name, path='/foo/bar', **properties):
    monitor.notify(zc.zk.RegisteringServer(name, path, properties))


def answer(*args):
    out = io.StringIO()
    monitor.servers(out, *args)
    return out.getvalue()


def test_servers():
    assert answer() == '[]\n'
    registering('1.2.3.4:8080', pid=42)
    registering('1.2.3.4:8081', '/foo/baz')
    registering('1.2.3.4:8082')
    assert json.loads(answer()) == [
        {'path': '/foo/bar', 'address': '1.2.3.4:8080', 'pid': 42},
        {'path': '/foo/baz', 'address': '1.2.3.4:8081'},
        {'path': '/foo/bar', 'address': '1.2.3.4:8082'}]
    assert answer('/foo/bar') == '1.2.3.4:8080 1.2.3.4:8082\n'
    assert answer('/foo/other') == '\n'


def test_a_server_that_registers_again_is_listed_once():
    registering('a:1', pid=1)
    registering('a:1', pid=2)
    [server] = json.loads(answer())
    assert server['pid'] == 2


def test_other_events_are_ignored():
    monitor.notify('event')
    assert answer() == '[]\n'


def test_register_records_what_is_registered(zookeeper):
    monitor.register()
    monitor.register()
    assert zc.zk.event.subscribers.count(monitor.notify) == 1

    def later(event):
        event.properties['later'] = 1

    zc.zk.event.subscribers.append(later)
    try:
        with zc.zk.ZooKeeper(zookeeper.connection_string) as zk:
            zk.register('/', 'a:1')
    finally:
        zc.zk.event.subscribers.remove(later)
    [server] = json.loads(answer())
    assert (server['address'], server['later']) == ('a:1', 1)


def test_register_without_zc_monitor(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'zc.monitor', None)
    monitor.register()
    assert monitor.notify in zc.zk.event.subscribers


def test_the_command_in_zc_monitor():
    zc_monitor = pytest.importorskip('zc.monitor')
    monitor.register()
    registering('a:1')
    with zc_monitor.Listener(('127.0.0.1', 0)) as listener:
        host, port = listener.address
        with socket.create_connection((host, port), 10) as connection:
            connection.sendall(b'servers /foo/bar\n')
            assert connection.makefile().readline() == 'a:1\n'


def test_zcml():
    zc_monitor = pytest.importorskip('zc.monitor.commands')
    xmlconfig = pytest.importorskip('zope.configuration.xmlconfig')
    component = pytest.importorskip('zope.component')
    testing = pytest.importorskip('zope.component.testing')
    testing.setUp()
    try:
        xmlconfig.string("""
            <configure xmlns="http://namespaces.zope.org/zope">
              <include package="zope.component" file="meta.zcml" />
              <include package="zc.zk" file="monitor.zcml" />
            </configure>""")
        assert zc_monitor.find('servers') is monitor.servers
        component.handle(zc.zk.RegisteringServer('a:1', '/foo/bar', {}))
    finally:
        testing.tearDown()
    assert answer('/foo/bar') == 'a:1\n'


@pytest.fixture(params=['tcp', 'unix'])
def monitor_address(request, tmp_path):
    """A server that answers as a monitor server would."""
    if request.param == 'tcp':
        server = socket.create_server(('127.0.0.1', 0))
        address = f':{server.getsockname()[1]}'
    else:
        server = socket.socket(socket.AF_UNIX)
        address = str(tmp_path / 'socket')
        server.bind(address)
        server.listen()
    thread = threading.Thread(target=serve, args=[server])
    thread.start()
    yield address
    server.shutdown(socket.SHUT_RDWR)
    thread.join()
    server.close()


def serve(server):
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection, connection.makefile('rw') as stream:
            command, path = stream.readline().split()
            assert command == 'servers'
            monitor.servers(stream, path)


def test_check(monitor_address, capsys):
    with socket.create_server(('127.0.0.1', 0)) as server:
        name = f'127.0.0.1:{server.getsockname()[1]}'
        registering(name)
        monitor.check([monitor_address, '/foo/bar'])
    with pytest.raises(SystemExit) as info:
        monitor.check([monitor_address, '/foo/bar'])
    assert info.value.code == 1
    assert capsys.readouterr() == ('', f'{name}: Connection refused\n')


def test_get_addr(monitor_address, capsys, monkeypatch):
    registering('a:1')
    monitor.get_addr([monitor_address, '/foo/bar'])
    assert capsys.readouterr().out == 'a:1\n'
    registering('[::1]:2')
    monkeypatch.setattr('sys.argv', ['get_addr', monitor_address, '/foo/bar'])
    monitor.get_addr()
    assert capsys.readouterr().out == 'a:1 [::1]:2\n'


@pytest.mark.parametrize('script', [monitor.check, monitor.get_addr])
def test_nothing_registered(script, monitor_address, capsys):
    with pytest.raises(SystemExit) as info:
        script([monitor_address, '/foo/bar'])
    assert info.value.code == 1
    assert capsys.readouterr() == (
        '', f'{monitor_address} has registered nothing at /foo/bar\n')


@pytest.mark.parametrize('script', [monitor.check, monitor.get_addr])
def test_no_monitor_server(script, capsys, tmp_path):
    for address, why in [(f'127.0.0.1:{free_port()}', 'Connection refused'),
                         (str(tmp_path / 'nothing'), 'No such file')]:
        with pytest.raises(SystemExit) as info:
            script([address, '/foo/bar'])
        assert info.value.code == 1
        out, err = capsys.readouterr()
        assert (out, err.count('\n')) == ('', 1)
        assert err.startswith(f'{address}: {why}')


@pytest.mark.parametrize('script', [monitor.check, monitor.get_addr])
def test_usage(script, capsys):
    with pytest.raises(SystemExit) as info:
        script(['one'])
    assert info.value.code == 2
    assert 'address of a monitor server' in capsys.readouterr().err
