"""bin/NAME in the foreground: exit statuses, signals, messages."""
import re
import signal
import socket

import pytest
from kazoo.security import OPEN_ACL_UNSAFE
from kazoo.security import READ_ACL_UNSAFE
from kazoo.security import make_digest_acl
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.processes import gone
from zkzopeserver_support.processes import registered
from zkzopeserver_support.processes import started
from zkzopeserver_support.processes import write_ini
from zkzopeserver_support.running import PATH
from zkzopeserver_support.running import get


@pytest.fixture
def ini(zookeeper, tmp_path):
    """A function: write an ini for the test's ZooKeeper; its path."""
    def write(**options):
        return write_ini(tmp_path, zookeeper.connection_string, **options)
    return write


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_removes_the_node_and_exits_0(tree, ini, number):
    with started(ini()) as process:
        (address, data), = registered(tree, process).items()
        assert data == {'pid': process.pid}
        assert get(address)[0] == 200
        process.signal(number)
        assert process.ended() == 0, process.output
        assert tree.get_children(PATH) == []
        assert 'Traceback' not in process.output


def test_the_port_of_the_metrics_is_taken(tree, ini):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        where = f'127.0.0.1:{taken.getsockname()[1]}'
        with started(ini(metrics=where,
                         monitor_server='127.0.0.1:0')) as process:
            assert process.ended() == 2
            assert (f"web: option 'metrics': cannot listen on {where}: Address"
                    ' already in use') in process.output
            assert 'Traceback' not in process.output
            assert tree.get_children(PATH) == []


def test_options_on_the_command_line_come_first(tree, ini):
    with started(ini(path='/elsewhere'), '-o', 'path=/fooservice/providers',
                 '-o', 'threads=2') as process:
        assert len(registered(tree, process)) == 1
        assert process.stopped() == 0


def test_the_log_says_where_it_serves_and_registers(tree, ini):
    with started(ini()) as process:
        address, = registered(tree, process)
        assert process.stopped() == 0
        assert f'serving on {address}' in process.output
        assert f'Registered /fooservice/providers/{address}' in (
            process.output)


def refused(path, status, *arguments):
    """Run a start script that must fail cleanly; return its output.

    It must end with the exit status, and without a traceback.
    """
    with started(path, *arguments) as process:
        assert process.ended() == status, process.output
        assert 'Traceback' not in process.output, process.output
        return process.output


def test_all_option_errors_a_line_each(ini):
    lines = refused(ini(port='x', pth='/y', threads='0'), 2).splitlines()
    assert len(lines) == 3
    for line in lines:
        assert line.startswith('web: server section of web.ini: ')
    assert "unknown option 'pth' (did you mean 'path'?)" in lines[0]


def test_a_port_in_use(ini):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = str(taken.getsockname()[1])
        output = refused(ini(port=port), 2)
    assert f'127.0.0.1:{port}' in output
    assert len(output.splitlines()) == 1


def test_a_host_that_is_not_ours(ini):
    assert 'nosuch.invalid' in refused(ini(host='nosuch.invalid'), 2)


def test_a_path_that_is_not_there(ini):
    output = refused(ini(path='/nosuch/path'), 3)
    assert '/nosuch/path' in output and 'zookeeper_import' in output


def test_a_path_that_is_a_link_to_nowhere(tree, ini):
    tree.create('/linked', b'{"providers ->": "/nowhere"}')
    output = refused(ini(path='/linked/providers'), 3)
    assert ("option 'path': there is no /nowhere (by way of the link"
            ' /linked/providers -> /nowhere) in the ZooKeeper at') in output


def test_a_path_that_is_not_open_to_us(tree, ini):
    tree.set_acls(PATH, READ_ACL_UNSAFE)
    output = refused(ini(), 3)
    assert ("option 'path': not allowed to register at /fooservice/providers"
            ' in the ZooKeeper at ') in output
    assert re.search(r': /fooservice/providers/\S+ \(CREATE\)', output)


def test_links_in_a_circle(tree, ini):
    tree.set('/fooservice', b'{"a ->": "/fooservice/b",'
                            b' "b ->": "/fooservice/a"}')
    output = refused(ini(path='/fooservice/a'), 3)
    assert "option 'path': links run in a circle" in output


def test_serves_until_the_path_is_open_to_us(tree, ini):
    tree.add_auth('digest', 'operator:secret')
    tree.set_acls(PATH, [
        *READ_ACL_UNSAFE, make_digest_acl('operator', 'secret', all=True)])
    with started(ini(wait='serve')) as process:
        wait_for(lambda: 'waiting for it' in process.output)
        tree.set_acls(PATH, OPEN_ACL_UNSAFE)
        assert registered(tree, process)
        assert process.stopped() == 0


def test_authorities_that_are_none(ini, tmp_path):
    path = tmp_path / 'ca.pem'
    path.write_text('nothing of the kind')
    output = refused(ini(zookeeper_ca=str(path)), 2)
    assert 'zookeeper_ca' in output and str(path) in output
    assert len(output.splitlines()) == 1


def test_a_zookeeper_that_is_not_there(tmp_path):
    with socket.create_server(('127.0.0.1', 0)) as free:
        address = f'127.0.0.1:{free.getsockname()[1]}'
    output = refused(write_ini(tmp_path, address), 3)
    assert address in output


def test_a_server_behind_a_proxy_asks_itself_as_the_proxy(tree, ini,
                                                          tmp_path):
    log = tmp_path / 'access.log'
    with started(ini(ready='/', probe_scheme='https', access_log=str(log),
                     trusted_proxy='127.0.0.1', proxy_protocol='true',
                     trusted_proxy_headers='x-forwarded-proto')) as process:
        address, = registered(tree, process)
        host, port = address.split(':')
        with socket.create_connection((host, int(port)), 20) as sock:
            sock.sendall(b'PROXY TCP4 192.0.2.1 127.0.0.1 4711 80\r\n'
                         b'GET / HTTP/1.0\r\n\r\n')
            assert sock.makefile('rb').read().startswith(b'HTTP/1.0 200 ')
        assert process.stopped() == 0
    own, client = log.read_text().splitlines()
    assert own.startswith('127.0.0.1 - - [')
    assert client.startswith('192.0.2.1 - - [')
    assert client.endswith(' 127.0.0.1')


def test_never_ready(ini):
    output = refused(ini(ready='/', ready_timeout='0.3',
                         app='call:zkzopeserver_support.running:make_broken'),
                     4)
    assert "option 'ready'" in output


def test_an_ini_that_is_not_there(tmp_path):
    output = refused(tmp_path / 'nosuch.ini', 2)
    assert 'nosuch.ini' in output
    assert len(output.splitlines()) == 1


def test_an_ini_without_a_server(tmp_path):
    path = tmp_path / 'web.ini'
    path.write_text('[app:main]\nuse = egg:nosuch\n')
    assert 'server' in refused(path, 2)


def test_a_command_line_that_is_wrong(ini):
    assert 'NAME=VALUE' in refused(ini(), 2, '-o', 'port')


def test_killed_its_node_goes_with_the_session(tree, ini, zookeeper):
    with started(ini(session_timeout='1000')) as process:
        registered(tree, process)
        process.signal(signal.SIGKILL)
        process.ended()
        gone(tree, timeout=15)
