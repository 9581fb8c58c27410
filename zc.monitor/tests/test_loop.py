"""Tests of what a listener bears: crowds, the slow, the rude, the hanging."""
import contextlib
import os
import random
import re
import resource
import select
import socket
import threading
import time

import pytest
import zc.monitor
from zc.monitor.loop import Waker
from zc_monitor_support.support import Client
from zc_monitor_support.support import wait_for


def serve(**limits):
    zc.monitor.register_basics()
    return zc.monitor.Listener(
        ('127.0.0.1', 0), zc.monitor.Limits(**limits))


def test_others_are_answered_while_a_command_hangs(listener, release):
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(Client(listener.address)).send(b'hang\n')
            for _number in range(4)]
        wait_for(lambda: release.running == 4)
        assert zc.monitor.ask(listener.address, 'quit') == 'Goodbye.\n'
        release.set()
        assert {client.read() for client in clients} == {'released\n'}


def test_a_command_that_hangs_again_and_again_leaves_room(release):
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(serve(wait=0.2))
        for _number in range(4):
            stack.enter_context(Client(listener.address)).send(b'hang\n')
        wait_for(lambda: release.running == 4)
        answer = zc.monitor.ask(listener.address, 'hang')
        one = r"'hang' for \d+ s"
        assert re.fullmatch(
            rf'Busy, running {one}, {one}, {one}, {one}\. '
            r'Try again later\.\n', answer)
        assert zc.monitor.ask(listener.address, 'quit') == 'Goodbye.\n'
        release.set()


def test_what_waits_for_room_runs_when_there_is_some(release):
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(serve(commands=1))
        first = stack.enter_context(Client(listener.address))
        first.send(b'hang\n')
        wait_for(lambda: release.running == 1)
        second = stack.enter_context(Client(listener.address))
        second.send(b'quit\n')
        gone = stack.enter_context(Client(listener.address))
        gone.send(b'quit\n').reset()
        release.set()
        assert first.read() == 'released\n'
        assert second.read() == 'Goodbye.\n'


def test_two_clients_run_the_same_command_at_once(listener):
    barrier = threading.Barrier(2)
    zc.monitor.register(
        lambda connection: connection.write(f'{barrier.wait(10) >= 0}'), 'b')
    with Client(listener.address) as one, Client(listener.address) as two:
        one.send(b'b\n')
        two.send(b'b\n')
        assert (one.read(), two.read()) == ('True', 'True')


def test_too_many_connections():
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(serve(connections=3))
        clients = [
            stack.enter_context(Client(listener.address))
            for _number in range(3)]
        for client in clients:
            client.send(b'interactive\n').expect('Interactive mode on.')
        with Client(listener.address) as client:
            assert client.send(b'help\n').read() == (
                'Too many connections: 3 are open. Try again later.\n')
        clients.pop().sock.close()

        def is_served():
            with Client(listener.address) as client:
                return client.send(b'quit\n').read() == 'Goodbye.\n'
        wait_for(is_served)


def test_far_too_many_connections():
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(serve(connections=2))
        clients = [
            stack.enter_context(Client(listener.address))
            for _number in range(10)]

        def is_closed(client):
            client.sock.settimeout(0.05)
            with contextlib.suppress(TimeoutError):
                return client.read() == ''
        wait_for(lambda: any(is_closed(client) for client in clients))
        for client in clients:
            client.sock.close()
        wait_for(
            lambda: zc.monitor.ask(listener.address, 'quit') == 'Goodbye.\n')


def test_a_hundred_clients_at_once(listener):
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(Client(listener.address))
            for _number in range(100)]
        for client in clients:
            client.send(b'quit\n')
        assert [client.read() for client in clients] == ['Goodbye.\n'] * 100


def test_who_never_asks_is_sent_away():
    with serve(idle=0.1) as listener, Client(listener.address) as client:
        assert client.send(b'\n\nhel').read() == (
            'No command within 0.1 seconds.\n')


def test_who_is_interactive_may_be_silent():
    # Long enough for a slow machine to hear of the first command.
    with serve(idle=2) as listener, Client(listener.address) as client:
        client.send(b'interactive\n').expect(
            'Interactive mode on.  Use "quit" to exit.\n')
        with Client(listener.address) as other:
            other.read()  # By then it has been silent for long enough.
        assert client.send(b'quit\n').read() == 'Goodbye.\n'


def test_who_is_interactive_is_not_silent_for_ever():
    with serve(interactive_idle=0.2) as listener, \
            Client(listener.address) as client:
        assert client.send(b'interactive\n\n').read() == (
            'Interactive mode on.  Use "quit" to exit.\n' * 2
            + 'No command within 0.2 seconds.\n')


def test_too_many_interactive_clients():
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(serve(interactive=2))
        clients = [
            stack.enter_context(Client(listener.address))
            for _number in range(2)]
        greeting = 'Interactive mode on.  Use "quit" to exit.\n'
        for client in clients:
            client.send(b'interactive\nquit ?\n').expect(greeting)
            client.expect('Wrong number of arguments. Usage: quit\n')
        with Client(listener.address) as client:
            assert client.send(b'interactive\nhelp\n').read() == (
                greeting + 'Too many interactive sessions: 2 are open. Try '
                'again later.\n')
        # One command at a time is answered all the same.
        assert zc.monitor.ask(listener.address, 'quit') == 'Goodbye.\n'
        assert clients.pop().send(b'quit\n').read() == 'Goodbye.\n'
        with Client(listener.address) as client:
            assert client.send(b'interactive\nquit\n').read() == (
                greeting + 'Goodbye.\n')


def test_who_never_reads_is_left():
    done = threading.Event()

    def endless(connection):
        while not connection.closed:
            connection.write('x' * 100_000)
        done.set()
    zc.monitor.register(endless)
    with serve(stall=0.2) as listener, Client(listener.address) as client:
        client.send(b'endless\n')
        assert done.wait(10)


def test_who_never_closes_is_left():
    with serve(linger=0.1) as listener, Client(listener.address) as client:
        assert client.send(b'quit\n').read() == 'Goodbye.\n'

        def is_closed():
            try:
                client.send(b'x')
            except OSError:
                return True
        wait_for(is_closed)


@pytest.mark.parametrize('data', [
    b'', b'\n', b'hel', b'help\n', b'interactive\n', b'interactive\nhelp\n',
    b'hang\n', b'big\n', b'x' * 100_000])
def test_a_reset_at_any_stage(listener, release, data, caplog):
    zc.monitor.register(
        lambda connection: connection.write('x' * 5_000_000), 'big')
    for _number in range(3):
        Client(listener.address).send(data).reset()
    with Client(listener.address) as client:
        client.send(data)
        if data.endswith(b'help\n') or data == b'big\n':
            client.sock.recv(1)
        client.reset()
    assert zc.monitor.ask(listener.address, 'quit') == 'Goodbye.\n'
    assert not caplog.records


def test_garbage(listener):
    chance = random.Random(20)
    pieces = [b'\n', b'\r\n', b'help ', b'interactive\n', b'\xff', b'\x00',
              'é'.encode(), b'quit', b'\xc3', b' ' * 1000]
    for _number in range(200):
        data = b''.join(chance.choices(pieces, k=chance.randrange(12)))
        with Client(listener.address) as client:
            client.send(data).half_close()
            client.read()
    assert zc.monitor.ask(listener.address, 'quit') == 'Goodbye.\n'


def test_without_file_descriptors_it_does_not_spin(listener, caplog):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Client(listener.address) as served, contextlib.ExitStack() as stack:
        served.send(b'interactive\n').expect('Interactive mode on.')
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE,
                       (soft, hard))
        sock = stack.enter_context(socket.socket())
        highest = max(int(fd) for fd in os.listdir('/proc/self/fd'))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
        files = []
        stack.callback(lambda: [os.close(fd) for fd in files])
        with contextlib.suppress(OSError):
            while True:
                files.append(os.dup(0))
        before = time.process_time()
        sock.connect(listener.address)
        wait_for(lambda: caplog.records)
        threading.Event().wait(1.2)
        assert time.process_time() - before < 0.1
        [record] = caplog.records  # One, though it has tried again.
        assert record.getMessage().startswith('Cannot accept connections')
        served.send(b'nix\n')
        while files:
            os.close(files.pop())
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        sock.sendall(b'quit\n')
        sock.settimeout(10)
        assert sock.recv(100) == b'Goodbye.\n'


def test_a_command_for_which_there_is_no_thread(listener, monkeypatch):
    """Its client is told; the listener serves on."""
    start = threading.Thread.start

    def refuse(thread):
        if thread.name.startswith('zc.monitor command'):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, 'start', refuse)
    assert zc.monitor.ask(listener.address, 'quit') == (
        "Cannot run 'quit': can't start new thread.\n")
    monkeypatch.undo()
    assert zc.monitor.ask(listener.address, 'quit') == 'Goodbye.\n'


def test_more_wake_ups_than_a_socket_has_room_for():
    waker = Waker()

    def is_awake():
        return bool(select.select([waker.reader], [], [], 0)[0])

    for _number in range(100_000):
        waker.wake()
    assert is_awake()
    waker.clear()
    assert not is_awake()
    waker.close()
    waker.wake()
