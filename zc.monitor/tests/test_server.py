"""Tests of listeners: addresses, unix sockets, beginning and end."""
import errno
import logging
import os
import re
import signal
import socket
import stat
import threading
import time
import warnings

import pytest
import zc.monitor
from zc.monitor import ask
from zc_monitor_support.support import Client
from zc_monitor_support.support import wait_for


@pytest.fixture(autouse=True)
def basics(no_leftovers):
    zc.monitor.register_basics()


def goodbye(address):
    return ask(address, 'quit') == 'Goodbye.\n'


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(('::1', 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize(('given', 'host'), [
    (0, ''),
    (('', 0), ''),
    (':0', ''),
    (('127.0.0.1', 0), '127.0.0.1'),
    (['localhost', 0], 'localhost'),
    ('127.0.0.1:0', '127.0.0.1'),
    pytest.param(('::1', 0), '::1', marks=pytest.mark.skipif(
        not has_ipv6(), reason='there is no IPv6 here')),
    pytest.param('[::1]:0', '::1', marks=pytest.mark.skipif(
        not has_ipv6(), reason='there is no IPv6 here')),
])
def test_the_address_has_the_host_as_given_and_the_true_port(given, host):
    with zc.monitor.Listener(given) as listener:
        assert listener.address[0] == host
        assert listener.address[1] > 0
        assert goodbye(listener.address)


def test_start_returns_the_address_and_keeps_the_listener():
    address = zc.monitor.start(('127.0.0.1', 0))
    try:
        assert zc.monitor.last_listener.address == address
        assert goodbye(address)
    finally:
        zc.monitor.last_listener.close()
        zc.monitor.last_listener = None
    with pytest.raises(ConnectionRefusedError):
        ask(address, 'quit')


def test_two_listeners_and_no_end_of_the_other():
    with zc.monitor.Listener(('127.0.0.1', 0)) as one:
        with zc.monitor.Listener(('127.0.0.1', 0)) as two:
            assert goodbye(one.address)
            assert goodbye(two.address)
        assert goodbye(one.address)


def test_an_address_that_is_taken():
    with zc.monitor.Listener(('127.0.0.1', 0)) as listener:
        with pytest.raises(zc.monitor.ListenError) as caught:
            zc.monitor.start(listener.address)
        assert str(caught.value) == (
            f'cannot listen on 127.0.0.1:{listener.address[1]}: '
            'the address is taken')
        assert caught.value.errno == errno.EADDRINUSE
        assert isinstance(caught.value, OSError)
    assert zc.monitor.last_listener is None


@pytest.mark.parametrize(('address', 'text'), [
    (('192.0.2.1', 0), r'cannot listen on 192\.0\.2\.1:0: Cannot assign .*'),
    (('nix.invalid', 1), r'cannot listen on nix\.invalid:1: .*'),
    (('x' * 70, 1), r'cannot listen on x+:1: .*'),
    (70000, r'cannot listen on 70000: .*a port is from 0 to 65535'),
    ('/nix/no/m.sock', r'cannot listen on /nix/no/m.sock: No such file.*'),
    ('/tmp/' + 'x' * 200, r'cannot listen on /tmp/x+: AF_UNIX path too .*'),
])
def test_an_address_that_cannot_be_used(address, text):
    with pytest.raises(zc.monitor.ListenError) as caught:
        zc.monitor.Listener(address)
    assert re.fullmatch(text, str(caught.value))


def test_the_same_port_again_after_close():
    with zc.monitor.Listener(('127.0.0.1', 0)) as listener:
        assert goodbye(listener.address)
    with zc.monitor.Listener(listener.address) as listener:
        assert goodbye(listener.address)


# Unix sockets.


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # Long paths don't fit into an address.
    return 'm.sock'


def test_a_unix_socket_is_ours_alone_and_goes_with_us(path):
    old = os.umask(0)
    try:
        listener = zc.monitor.Listener(path)
    finally:
        os.umask(old)
    with listener:
        assert listener.address == path
        status = os.stat(path)
        assert stat.S_ISSOCK(status.st_mode)
        assert stat.S_IMODE(status.st_mode) == 0o600
        assert goodbye(path)
    assert not os.path.exists(path)


def test_a_narrow_umask_makes_no_difference(path):
    old = os.umask(0o777)
    try:
        listener = zc.monitor.Listener(path)
    finally:
        os.umask(old)
    with listener:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_the_file_is_removed_wherever_the_process_is_by_then(
        path, tmp_path_factory, monkeypatch):
    place = os.path.abspath(path)
    with zc.monitor.Listener(path):
        monkeypatch.chdir(tmp_path_factory.mktemp('other'))
    assert not os.path.exists(place)


def test_an_old_socket_file_is_replaced(path):
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(path)
        old.listen()
    with zc.monitor.Listener(path):
        assert goodbye(path)


def test_a_live_socket_is_taken(path):
    with zc.monitor.Listener(path):
        with pytest.raises(
                zc.monitor.ListenError, match='m.sock: the address is taken'
        ) as caught:
            zc.monitor.start(path)
        assert caught.value.errno == errno.EADDRINUSE
        assert goodbye(path)


def test_a_live_socket_that_is_too_busy_is_taken(path):
    with socket.socket(socket.AF_UNIX) as busy, \
            socket.socket(socket.AF_UNIX) as first:
        busy.bind(path)
        busy.listen(0)
        first.connect(path)
        with pytest.raises(zc.monitor.ListenError, match='is taken'):
            zc.monitor.start(path)
        assert os.path.exists(path)


def test_a_datagram_socket_is_taken(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(path)
        with pytest.raises(zc.monitor.ListenError, match='is taken'):
            zc.monitor.start(path)
        assert os.path.exists(path)


@pytest.mark.parametrize('make', [
    lambda path: open(path, 'x').close(),
    os.mkdir,
    os.mkfifo,
    lambda path: os.symlink('elsewhere', path),
])
def test_what_is_no_socket_is_never_removed(path, make):
    make(path)
    before = os.lstat(path)
    with pytest.raises(
            zc.monitor.ListenError,
            match='m.sock: there is a file that is not a socket'):
        zc.monitor.Listener(path)
    assert os.lstat(path) == before


def test_a_file_that_is_not_ours_any_more_is_left_alone(path):
    with zc.monitor.Listener(path):
        os.unlink(path)
        with open(path, 'x'):
            pass
    assert os.path.exists(path)
    os.unlink(path)
    with zc.monitor.Listener(path):
        os.unlink(path)
    with zc.monitor.Listener(path) as one:
        os.rename(path, 'moved')
        with zc.monitor.Listener(path):
            one.close()
            assert goodbye(path)


def test_of_many_that_start_at_once_one_gets_the_socket(path):
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(path)
    barrier = threading.Barrier(8)
    listeners = []
    refused = []

    def start():
        barrier.wait(10)
        try:
            listeners.append(zc.monitor.Listener(path))
        except zc.monitor.ListenError as error:
            refused.append(error.errno)
    threads = [threading.Thread(target=start) for _number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [listener] = listeners
    with listener:
        assert refused == [errno.EADDRINUSE] * 7
        assert goodbye(path)


def test_a_forked_child_that_closes_does_not_disturb_its_parent(path):
    with zc.monitor.Listener(path) as listener:
        with Client(path) as client:
            client.send(b'interactive\n').expect('Interactive mode on.')
            child = fork()
            if not child:
                status = 1
                signal.alarm(10)  # Rather than to hang.
                try:
                    listener.close()
                    status = 0
                finally:
                    os._exit(status)
            assert os.waitpid(child, 0)[1] == 0
            client.send(b'quit\n')
            assert client.read().endswith('Goodbye.\n')
        assert goodbye(path)


def fork():
    with warnings.catch_warnings():
        # From 3.12 on Python warns of forks where there are threads.
        warnings.simplefilter('ignore', DeprecationWarning)
        return os.fork()


# The end.


def test_close_twice_and_from_several_threads(caplog):
    caplog.set_level(logging.INFO)
    listener = zc.monitor.Listener(('127.0.0.1', 0))
    threads = [
        threading.Thread(target=listener.close) for _number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    listener.close()
    name = f'127.0.0.1:{listener.address[1]}'
    messages = [record.getMessage() for record in caplog.records]
    assert messages[0] == f'Listening on {name}'
    assert set(messages[1:]) == {f'Closed {name}'}


def test_close_ends_connections_at_every_stage():
    limits = zc.monitor.Limits(grace=60, linger=60)
    with zc.monitor.Listener(('127.0.0.1', 0), limits) as listener:
        clients = [Client(listener.address) for _number in range(4)]
        clients[1].send(b'hel')
        clients[2].send(b'interactive\n').expect(
            'Interactive mode on.  Use "quit" to exit.\n')
        clients[3].send(b'quit\n').expect('Goodbye.\n')
        started = time.monotonic()
        listener.close()
        assert time.monotonic() - started < 30  # Neither waited for.
        for client in clients:
            with client:
                try:
                    assert client.read() == ''
                except ConnectionResetError:
                    assert client is clients[1]  # What it said is unread.


def test_close_lets_a_running_command_answer(release):
    listener = zc.monitor.Listener(
        ('127.0.0.1', 0), zc.monitor.Limits(grace=10))
    with Client(listener.address) as client:
        client.send(b'hang\nquit\n')
        wait_for(lambda: release.running)
        closing = threading.Thread(target=listener.close)
        closing.start()

        def is_deaf():
            try:
                Client(listener.address).sock.close()
            except ConnectionRefusedError:
                return True
            except ConnectionResetError:
                return False  # It was in the queue when that was closed.
        wait_for(is_deaf)
        release.set()
        assert client.read() == 'released\n'
        closing.join()


def test_close_does_not_wait_for_ever(release, caplog):
    listener = zc.monitor.Listener(
        ('127.0.0.1', 0), zc.monitor.Limits(grace=0.2))
    with Client(listener.address) as client:
        client.send(b'hang\n')
        wait_for(lambda: release.running)
        listener.close()
        assert client.read() == ''
    [record] = caplog.records
    assert re.fullmatch(
        r"Closed 127.0.0.1:\d+ while running 'hang' for \d+ s",
        record.getMessage())


def test_what_waits_for_room_is_told_of_the_end(release):
    listener = zc.monitor.Listener(
        ('127.0.0.1', 0),
        zc.monitor.Limits(grace=10, commands=1, connections=2))
    with Client(listener.address) as first, \
            Client(listener.address) as second:
        first.send(b'hang\n')
        wait_for(lambda: release.running)
        second.send(b'quit\nquit\n')
        with Client(listener.address) as third:
            third.read()  # By then the second has been heard.
        closing = threading.Thread(target=listener.close)
        closing.start()
        assert second.read() == 'The server is stopping.\n'
        assert release.running == 1
        release.set()
        closing.join()


def test_a_command_may_close_its_own_listener():
    with zc.monitor.Listener(('127.0.0.1', 0)) as listener:
        def stop(connection):
            listener.close()
            connection.write('stopped\n')
        zc.monitor.register(stop)
        assert ask(listener.address, 'stop') == 'stopped\n'
        with pytest.raises(ConnectionRefusedError):
            ask(listener.address, 'quit')


def test_many_beginnings_and_ends():
    for _number in range(50):
        with zc.monitor.Listener(('127.0.0.1', 0)) as listener:
            Client(listener.address).sock.close()


def test_no_descriptors_for_a_listener(monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.EMFILE, 'Too many open files')

    monkeypatch.setattr(socket, 'socketpair', refuse)
    with pytest.raises(zc.monitor.ListenError) as caught:
        zc.monitor.Listener(('127.0.0.1', 0))
    assert caught.value.errno == errno.EMFILE
    assert str(caught.value).startswith('cannot listen on 127.0.0.1:')
    assert str(caught.value).endswith(': Too many open files')


def test_the_text_of_a_listener_names_its_address():
    with zc.monitor.Listener(('127.0.0.1', 0)) as listener:
        port = listener.address[1]
        assert repr(listener) == f'<zc.monitor.Listener 127.0.0.1:{port}>'
