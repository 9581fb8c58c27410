"""Tests of asking a server from Python."""
import errno
import pathlib
import socket
import subprocess
import sys
import threading

import pytest
import zc.monitor


def test_the_forms_of_an_address(listener, tmp_path, monkeypatch):
    port = listener.address[1]
    for address in (port, listener.address, f'127.0.0.1:{port}', f':{port}'):
        assert zc.monitor.ask(address, 'quit') == 'Goodbye.\n'
    monkeypatch.chdir(tmp_path)
    with zc.monitor.Listener('m.sock'):
        for address in ('m.sock', './m.sock', pathlib.Path('m.sock')):
            assert zc.monitor.ask(address, 'quit') == 'Goodbye.\n'


def test_interactive_ends_as_we_have_no_more_to_say(listener):
    assert zc.monitor.ask(listener.address, 'interactive') == (
        'Interactive mode on.  Use "quit" to exit.\n')


def test_a_line_that_is_too_long_is_answered(listener):
    assert 'too long' in zc.monitor.ask(listener.address, 'x' * 1_000_000)


def test_nobody_there():
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        address = sock.getsockname()
        with pytest.raises(ConnectionRefusedError) as caught:
            zc.monitor.ask(address, 'help')
    assert f'127.0.0.1:{address[1]}' in str(caught.value)
    with pytest.raises(FileNotFoundError, match='/nix/m.sock'):
        zc.monitor.ask('/nix/m.sock', 'help')
    with pytest.raises(OSError, match='nix.invalid:1'):
        zc.monitor.ask('nix.invalid:1', 'help')


def test_an_answer_that_takes_too_long(listener, release):
    with pytest.raises(TimeoutError) as caught:
        zc.monitor.ask(listener.address, 'hang', timeout=0.1)
    assert caught.value.errno == errno.ETIMEDOUT
    assert f'127.0.0.1:{listener.address[1]}' in str(caught.value)


def test_the_time_is_for_all_of_the_answer(listener):
    def drip(connection):
        while not connection.closed:
            connection.write('.')
            threading.Event().wait(0.01)
    zc.monitor.register(drip)
    with pytest.raises(TimeoutError):
        zc.monitor.ask(listener.address, 'drip', timeout=0.2)


def test_an_answer_of_any_length_is_not_read(listener):
    def flood(connection):
        while not connection.closed:
            connection.write('x' * 100_000)
    zc.monitor.register(flood)
    with pytest.raises(OSError) as caught:
        zc.monitor.ask(listener.address, 'flood')
    assert caught.value.errno == errno.EMSGSIZE
    assert str(caught.value) == (
        f"[Errno {errno.EMSGSIZE}] The answer is longer than 16777216 bytes:"
        f" '127.0.0.1:{listener.address[1]}'")
    with pytest.raises(OSError, match='longer than 10 bytes'):
        zc.monitor.ask(listener.address, 'help', limit=10)


def test_bad_questions_are_refused_before_anything_is_sent():
    with pytest.raises(ValueError, match='a command is one line'):
        zc.monitor.ask(1, 'help\nquit')
    with pytest.raises(ValueError, match='a port is from 0'):
        zc.monitor.ask(70000, 'help')
    with pytest.raises(ValueError, match='a command is one line'):
        zc.monitor.stream(1, 'help\n')


def test_a_stream_yields_what_is_there(listener):
    more = threading.Event()

    def count(connection):
        connection.write('é1\n')
        more.wait(10)
        connection.write('2\n')
    zc.monitor.register(count)
    pieces = zc.monitor.stream(listener.address, 'count', timeout=10)
    assert next(pieces) == 'é1\n'
    more.set()
    assert ''.join(pieces) == '2\n'


def test_a_stream_that_is_left_closes_its_connection(listener):
    closed = threading.Event()

    def endless(connection):
        while not connection.closed:
            connection.write('x' * 1000)
        closed.set()
    zc.monitor.register(endless)
    pieces = zc.monitor.stream(listener.address, 'endless')
    assert next(pieces)
    pieces.close()
    assert closed.wait(10)


def test_asking_needs_no_zope():
    code = 'import sys, zc.monitor; sys.exit("zope.interface" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code]).returncode == 0
