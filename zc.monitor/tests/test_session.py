"""Tests of the protocol, through raw sockets."""
import os
import sys
import threading

import pytest
import zc.monitor
from zc.monitor.peers import Peer
from zc_monitor_support.support import Client
from zc_monitor_support.support import wait_for


def echo(connection, *args):
    """Repeat the arguments"""
    connection.write(f'{args}\n')


def talk(listener, data):
    with Client(listener.address) as client:
        return client.send(data).read()


def test_one_command_and_the_connection_ends(listener):
    zc.monitor.register(echo)
    assert talk(listener, b'echo  1\t"2 3" \n') == "('1', '\"2', '3\"')\n"
    assert talk(listener, b'echo 1\necho 2\n') == "('1',)\n"


def test_telnet_line_ends(listener):
    zc.monitor.register(echo)
    assert talk(listener, b'echo 1\r\n') == "('1',)\n"


def test_the_last_line_needs_no_line_end(listener):
    zc.monitor.register(echo)
    with Client(listener.address) as client:
        assert client.send(b'echo 1').half_close().read() == "('1',)\n"


def test_a_half_closed_client_gets_all_answers(listener):
    zc.monitor.register(echo)
    with Client(listener.address) as client:
        client.send(b'interactive\necho 1\n\necho 2').half_close()
        assert client.read() == (
            'Interactive mode on.  Use "quit" to exit.\n'
            "('1',)\n('1',)\n('2',)\n")


def test_nothing_said_nothing_answered(listener):
    with Client(listener.address) as client:
        assert client.half_close().read() == ''
    with Client(listener.address) as client:
        assert client.send(b'\n \r\n').half_close().read() == ''


def test_empty_lines_before_the_command_are_ignored(listener):
    zc.monitor.register(echo)
    assert talk(listener, b'\n\r\necho 1\n') == "('1',)\n"


def test_a_line_may_come_in_pieces(listener):
    zc.monitor.register(echo)
    with Client(listener.address) as client:
        for byte in b'echo \xc3\xa9 1\n':
            client.send(bytes([byte]))
        assert client.read() == "('é', '1')\n"


def test_interactive_until_quit(listener):
    zc.monitor.register(echo)
    with Client(listener.address) as client:
        client.send(b'interactive\n')
        client.expect('Interactive mode on.  Use "quit" to exit.\n')
        client.send(b'echo 1\n').expect("('1',)\n")
        client.send(b'\n').expect("('1',)\n")
        client.send(b'nix\n').expect(
            'Invalid command \'nix\'. Try "help".\n')
        client.send(b'\xff\n').expect('The line is not UTF-8 text.\n')
        client.send(b'echo\n').expect('()\n')
        assert client.send(b'quit\nquit\n').read() == 'Goodbye.\n'


def calculate(connection, *args):
    """Add numbers until "done" or "stay" """
    if args == ('done',):
        return zc.monitor.QUIT_MARKER
    if args == ('stay',):
        return zc.monitor.INTERACTIVE_MARKER
    connection.write(f'{sum(map(int, args))}.')
    return zc.monitor.MORE_MARKER if not args else None


def test_more_takes_all_lines_that_follow(listener):
    zc.monitor.register(calculate)
    with Client(listener.address) as client:
        client.send(b'calculate\n').expect('0.')
        client.send(b'1 2\n').expect('3.')
        client.send(b'\n').expect('0.')
        client.send(b'quit\n').expect(
            "ValueError: invalid literal for int() with base 10: 'quit'\n")
        client.send(b'4 4\n').expect('8.')
        assert client.send(b'done\n').read() == ''


def test_more_can_go_over_into_interactive_mode(listener):
    zc.monitor.register(calculate)
    with Client(listener.address) as client:
        client.send(b'calculate\n').expect('0.')
        client.send(b'stay\nquit\n').expect('Goodbye.\n')


def test_a_line_that_is_not_text(listener):
    assert talk(listener, b'help \xff\xfe\n') == (
        'The line is not UTF-8 text.\n')


@pytest.mark.parametrize('line', [
    'GET / HTTP/1.1', 'echo /a.b HTTP/1.1\r', '  echo  /  http/1.0 ',
    'PRI * HTTP/2.0', 'Host: localhost:1', 'hOsT:evil'])
@pytest.mark.parametrize('before', ['', '\n', 'interactive\n'])
def test_http_ends_the_session_before_any_command(listener, line, before):
    zc.monitor.register(echo)
    zc.monitor.register(echo, 'Host:')
    answer = talk(listener, f'{before}{line}\necho 1\n\n'.encode())
    assert answer.splitlines()[-1] == 'This is no HTTP server.'
    assert '(' not in answer


def test_a_command_knows_its_client(listener, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # Long paths don't fit into an address.
    peers = []

    def who(connection):
        peers.append(connection.peer)
    zc.monitor.register(who)
    with Client(listener.address) as client:
        port = client.sock.getsockname()[1]
        client.send(b'who\n').read()
    with zc.monitor.Listener('m.sock') as other:
        zc.monitor.ask(other.address, 'who')
    assert peers[0] == Peer(f'127.0.0.1:{port}', True)
    assert peers[1].is_local
    if sys.platform == 'linux':
        assert str(peers[1]) == f'pid {os.getpid()} of uid {os.getuid()}'


def test_control_characters_in_an_error_are_not_sent_as_such(
        listener, caplog):
    def fail(connection, word):
        raise ValueError(word)
    zc.monitor.register(fail)
    assert talk(listener, 'fail \x1b[2J\u202e\n'.encode()) == (
        'ValueError: \\x1b[2J\\u202e\n')


def test_control_characters_are_not_sent_back_as_such(listener):
    assert talk(listener, b'\x00\x1b[2J\n') == (
        'Invalid command \'\\x00\\x1b[2J\'. Try "help".\n')


@pytest.mark.parametrize('end', [b'', b'\n'])
def test_a_line_that_is_too_long(listener, end):
    answer = talk(listener, b'x' * 65537 + end)
    assert answer == (
        'The line is too long: 65536 bytes are allowed.\n')


def test_a_line_that_is_just_short_enough(listener):
    zc.monitor.register(lambda connection, arg: connection.write(arg), 'e')
    assert talk(listener, b'e ' + b'x' * 65534 + b'\n') == 'x' * 65534


def test_a_flood_gets_its_line_all_the_same(listener):
    assert 'too long' in talk(listener, b'x' * 3_000_000)


def test_an_answer_of_any_size(listener):
    zc.monitor.register(
        lambda connection: connection.write('é' * 5_000_000), 'big')
    assert talk(listener, b'big\n') == 'é' * 5_000_000


def test_what_is_not_text_in_the_answer(listener):
    zc.monitor.register(
        lambda connection: connection.write('\udcff\n'), 'odd')
    assert talk(listener, b'odd\n') == '\\udcff\n'


def test_several_texts(listener):
    zc.monitor.register(
        lambda connection: connection.writelines(['1\n', '2\n']), 'c')
    assert talk(listener, b'c\n') == '1\n2\n'


def test_writing_from_another_thread_and_later(listener):
    go = threading.Event()

    def late(connection):
        def write():
            go.wait(10)
            connection.write('late\n')
        threading.Thread(target=write).start()
        return zc.monitor.INTERACTIVE_MARKER
    zc.monitor.register(late)
    with Client(listener.address) as client:
        client.send(b'late\nhelp late\n').expect('Help for late:\n\n?\n')
        go.set()
        client.expect('late\n')


def test_after_the_client_has_gone_writing_is_harmless(listener, caplog):
    seen = []

    def endless(connection):
        while not connection.closed:
            connection.write('x' * 1000)
        connection.write('more')
        seen.append(connection)
    zc.monitor.register(endless)
    with Client(listener.address) as client:
        client.send(b'endless\n').expect('xxx')
    wait_for(lambda: seen)
    assert not caplog.records


def test_a_client_that_does_not_read_makes_its_command_wait(listener):
    written = []

    def endless(connection):
        while not connection.closed:
            connection.write('x' * 100_000)
            written.append(None)
    zc.monitor.register(endless)
    with Client(listener.address) as client:
        client.send(b'endless\n')
        wait_for(lambda: len(written) >= 10)  # It may begin late.
        count = -1
        while count != len(written):  # Until it stands still for a while.
            count = len(written)
            client.sock.settimeout(0.3)
            threading.Event().wait(0.3)
        # 1 MiB in the listener, the rest in the system's own buffers.
        assert count < 200
        assert zc.monitor.ask(listener.address, 'quit') == 'Goodbye.\n'
        client.sock.settimeout(10)
        client.expect('x' * 10_000_000)
