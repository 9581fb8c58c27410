"""A real HAProxy, told by its admin socket."""
import http.client
import os
import socket
import time

import pytest
from zc.zk.follow.formats import FORMATS
from zc.zk.follow.haproxy import AdminSocket
from zc.zk.follow.haproxy import Backends
from zc.zk.follow.haproxy import Refused
from zc.zk.follow.upstream import Target
from zc.zk.follow.upstream import Upstream
from zc.zk.testing.waiting import wait_for
from zc_zk_support.proxies import Backend
from zc_zk_support.proxies import HAProxy


@pytest.fixture
def proxy(tmp_path):
    proxy = HAProxy(tmp_path / 'haproxy')
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture
def servers():
    servers = [Backend() for _ in range(3)]
    yield servers
    for server in servers:
        server.close()


@pytest.fixture
def admin(proxy):
    wait_for(lambda: os.path.exists(proxy.socket))
    return AdminSocket(proxy.socket)


@pytest.fixture
def backends(admin):
    return Backends(admin, FORMATS['haproxy']())


def upstream(*servers, **weights):
    return Upstream('cms', '/cms/providers', tuple(
        Target(server.name, '127.0.0.1', server.port,
               {'weight': weights.get('weight', 1)}) for server in servers))


def test_servers_are_added_and_removed_without_a_reload(
        proxy, servers, backends, admin):
    one, two, three = servers
    pid = [line for line in admin.ask('show info').splitlines()
           if line.startswith('Pid:')]
    assert sorted(backends.reconcile(upstream(one, two))) == sorted(
        [f'+{one.name}', f'+{two.name}'])
    assert backends.reconcile(upstream(one, two)) == []
    assert proxy.ports() == {one.port, two.port}
    assert sorted(backends.reconcile(upstream(two, three))) == sorted(
        [f'+{three.name}', f'-{one.name}'])
    assert proxy.ports() == {two.port, three.port}
    assert backends.pending == set()
    assert pid == [line for line in admin.ask('show info').splitlines()
                   if line.startswith('Pid:')]


def test_weights_are_changed(servers, backends, admin):
    one, *_ = servers
    backends.reconcile(upstream(one))
    assert backends.reconcile(upstream(one, weight=7)) == [f'={one.name}']
    assert f'cms/{one.name} cms/{one.name}' not in admin.ask('show stat')
    assert admin.ask(f'get weight cms/{one.name}').startswith('7 ')
    assert backends.reconcile(upstream(one, weight=7)) == []


def test_ipv6_and_options(proxy, admin):
    try:
        socket.create_server(('::1', 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip('no IPv6 here')
    options = FORMATS['haproxy']('check inter 200 fall 1 slowstart 1s '
                                 'maxconn 50')
    backends = Backends(admin, options)
    target = Target('x', '::1', 9)
    assert backends.reconcile(Upstream('cms', '/', (target,))) == ['+[::1]:9']
    # The check works, as nobody listens there.
    wait_for(lambda: ' DOWN' in ' '.join(
        line.replace(',', ' ') for line in admin.ask(
            'show stat').splitlines() if '_::1_:9' in line))


def test_a_server_with_a_request_in_flight_is_deleted_later(
        proxy, backends, admin):
    with socket.create_server(('127.0.0.1', 0)) as slow, Stopper() as other:
        target = Target('slow', *slow.getsockname())
        backends.reconcile(Upstream('cms', '/', (target,)))
        client = http.client.HTTPConnection('127.0.0.1', proxy.port)
        client.request('GET', '/')
        held, _ = slow.accept()
        with held:
            changes = backends.reconcile(Upstream('cms', '/', (
                Target('other', '127.0.0.1', other.port),)))
            assert f'-{target.address}' in changes
            assert backends.pending == {('cms', target.identifier)}
            rest = Upstream('cms', '/', (
                Target('other', '127.0.0.1', other.port),))
            assert backends.reconcile(rest) == []
            assert backends.pending == {('cms', target.identifier)}
            assert proxy.ports(5) == {other.port}
            held.recv(1000)
            held.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n'
                         b'Connection: close\r\n\r\nok')
            assert client.getresponse().read() == b'ok'
        client.close()

        def is_gone():
            backends.reconcile(rest)
            return not backends.pending

        wait_for(is_gone)
        assert target.identifier not in admin.ask('show servers state cms')


def test_a_server_that_comes_back_before_it_is_deleted(proxy, backends,
                                                       admin):
    with socket.create_server(('127.0.0.1', 0)) as slow, Stopper() as other:
        target = Target('slow', *slow.getsockname())
        rest = Target('other', '127.0.0.1', other.port)
        backends.reconcile(Upstream('cms', '/', (target,)))
        client = http.client.HTTPConnection('127.0.0.1', proxy.port)
        client.request('GET', '/')
        held, _ = slow.accept()
        backends.reconcile(Upstream('cms', '/', (rest,)))
        assert backends.pending
        # Another follower has come since.
        backends = Backends(admin, FORMATS['haproxy']())
        assert backends.reconcile(Upstream('cms', '/', (rest, target))) == [
            f'+{target.address}']
        assert not backends.pending
        held.close()
        client.close()


class Stopper:
    """A backend for a with statement."""

    def __enter__(self):
        self.backend = Backend()
        return self.backend

    def __exit__(self, *args):
        self.backend.close()


def test_maintenance_of_somebody_else_stays(servers, backends, admin):
    one, two, _ = servers
    backends.reconcile(upstream(one, two))
    admin.do(f'set server cms/{one.name} state maint')
    assert backends.reconcile(upstream(one, two)) == []
    assert 'MAINT' in [
        line.split(',')[17] for line in admin.ask('show stat').splitlines()
        if line.startswith(f'cms,{one.name},')]


def test_after_a_restart_of_haproxy_all_is_told_again(proxy, servers,
                                                      backends):
    one, two, _ = servers
    backends.reconcile(upstream(one, two))
    proxy.stop()
    with pytest.raises(OSError, match='refused|No such file'):
        backends.reconcile(upstream(one, two))
    proxy.start()
    wait_for(lambda: os.path.exists(proxy.socket))
    assert len(backends.reconcile(upstream(one, two))) == 2
    assert proxy.ports() == {one.port, two.port}


def test_servers_of_the_file_are_known(proxy, servers, admin):
    one, two, three = servers
    format = FORMATS['haproxy']()
    proxy.file.write_text(format.render([upstream(one, two)]))
    proxy.stop()
    proxy.start()
    backends = Backends(admin, format)
    assert backends.reconcile(upstream(one, two)) == []
    # And they are removed like others.
    backends.reconcile(upstream(three))
    assert proxy.ports() == {three.port}


@pytest.mark.parametrize('lines', [
    'backend cms\n', 'backend cms\n    balance source\n',
    'backend cms\n    cookie x insert\n'])
def test_what_haproxy_refuses(proxy, servers, admin, lines):
    proxy.file.write_text(lines)
    proxy.stop()
    proxy.start()
    backends = Backends(admin, FORMATS['haproxy']('check'))
    try:
        backends.reconcile(upstream(servers[0]))
        backends.reconcile(Upstream('no-such', '/', ()))
    except Refused as error:
        assert str(error).isprintable()
        assert len(str(error)) > 10
    else:
        assert 'cookie' in lines  # HAProxy 2.8 takes it


def test_a_command_is_one_line(admin):
    with pytest.raises(ValueError, match='one line'):
        admin.ask('show info\nshow stat')


def test_a_thousand_servers(backends, admin):
    targets = tuple(Target('x', f'10.1.{number // 250}.{number % 250 + 1}', 80)
                    for number in range(1000))
    began = time.monotonic()
    assert len(backends.reconcile(Upstream('cms', '/', targets))) == 1000
    print(f'added in {time.monotonic() - began:.2f} s')
    began = time.process_time()
    assert len(backends.reconcile(Upstream('cms', '/', targets[1:]))) == 1
    print(f'one change: {time.process_time() - began:.3f} s of CPU')
