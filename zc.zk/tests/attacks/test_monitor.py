"""Monitor servers that answer the scripts `check` and `get_addr` wrongly."""
import contextlib
import socket
import threading

import pytest
from zc.zk import monitor


@contextlib.contextmanager
def answering(*pieces, pause):
    """Answer a client with the first piece, and the last one without end.

    Yield the address.
    """
    ended = threading.Event()

    def serve():
        sock, _ = listener.accept()
        with sock, contextlib.suppress(OSError):
            sock.recv(1000)
            sock.sendall(pieces[0])
            while not ended.wait(pause):
                sock.sendall(pieces[-1])

    with socket.create_server(('127.0.0.1', 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f'127.0.0.1:{listener.getsockname()[1]}'
        ended.set()
        thread.join()


@pytest.mark.parametrize('script', [monitor.check, monitor.get_addr])
def test_an_answer_of_a_byte_at_a_time_has_an_end(
        script, monkeypatch, capsys):
    monkeypatch.setattr(monitor, 'ANSWER_TIMEOUT_S', 0.3)
    with answering(b'a', pause=0.01) as address, \
            pytest.raises(SystemExit) as caught:
        script([address, '/path'])
    assert caught.value.code == 1
    assert capsys.readouterr() == ('', 'timed out\n')


def test_an_answer_has_a_limit_in_bytes(capsys):
    with answering(b'a' * 65536, pause=0) as address:
        monitor.get_addr([address, '/path'])
    assert len(capsys.readouterr().out) <= 2 * monitor.MAX_ANSWER_BYTES


def test_names_do_not_steer_the_terminal(capsys):
    with answering('a:1\x1b[2J\u202e b:2\n'.encode(), pause=30) as address:
        monitor.get_addr([address, '/path'])
    assert capsys.readouterr().out == 'a:1\\x1b[2J\\u202e b:2\n'


def test_errors_do_not_steer_the_terminal(capsys):
    with answering(b'\x1b[2J\n', pause=30) as address, \
            pytest.raises(SystemExit):
        monitor.check([address, '/path'])
    assert capsys.readouterr().err.startswith('\\x1b[2J: ')
