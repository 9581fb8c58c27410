"""Attacks on root, who runs ``bin/NAME`` for a server of another user.

That user has written what the verbs read: the ini, the pid file, the socket of
a manager, a server that answers.
"""
import contextlib
import os
import pwd
import re
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from zkzopeserver_support.processes import write_ini
from zkzopeserver_support.running import PATH

from zc.zkzopeserver import readiness
from zc.zkzopeserver.cli import zdaemon
from zc.zkzopeserver.cli.verbs import VERBS
from zc.zkzopeserver.errors import StartError

NOBODY = 'nobody'

# Where Python is below /root, other users can import nothing: what is imported
# late is imported before.
START = f"""\
import encodings.idna, importlib.metadata, psutil, socket, sys, termios
import kazoo.client, zc.zkzopeserver.runner, zc.zkzopeserver.service
from zc.zkzopeserver.start import main
sys.exit(main(sys.argv[1], "web", sys.argv[2:], run={{"user": {NOBODY!r}}}))
"""

is_root = pytest.mark.skipif(
    os.geteuid() != 0, reason='only root has something to lose')


@pytest.fixture
def folder():
    """The folder of a server that runs as `NOBODY`."""
    with tempfile.TemporaryDirectory(prefix='zk') as path:
        entry = pwd.getpwnam(NOBODY)
        try:
            subprocess.run([sys.executable, '-c', ''], check=True,
                           capture_output=True, user=entry.pw_uid,
                           group=entry.pw_gid, extra_groups=[])
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f'{NOBODY} may not run this Python: {error}')
        os.chown(path, entry.pw_uid, entry.pw_gid)
        os.chmod(path, 0o755)
        yield Path(path)


def call(ini, *words, timeout=20):
    """Run ``bin/web`` for the user; return (exit status, output).

    Not under coverage.py: that user may not write where its data are.
    """
    ours = {name: value for name, value in os.environ.items()
            if not name.startswith('COVERAGE_')}
    done = subprocess.run(
        [sys.executable, '-c', START, str(ini), *words], text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=timeout, env={
            **ours, 'PYTHONPATH': os.pathsep.join(sys.path)})
    assert 'Traceback' not in done.stdout
    return done.returncode, done.stdout


class Tap:
    """A proxy on the way to a ZooKeeper; `seen` is what clients have sent."""

    def __init__(self, connection_string):
        host, _, port = connection_string.partition('/')[0].rpartition(':')
        self._target = host, int(port)
        self._listener = socket.create_server(('127.0.0.1', 0))
        self.port = self._listener.getsockname()[1]
        self.seen = b''
        self._threads = []
        self._run(self._accept)

    def _run(self, function, *arguments):
        self._threads.append(threading.Thread(
            target=function, args=arguments, daemon=True))
        self._threads[-1].start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._run(self._pass, client, server, True)
                self._run(self._pass, server, client, False)

    def _pass(self, source, target, is_client):
        with contextlib.suppress(OSError), source:
            while data := source.recv(65536):
                if is_client:
                    self.seen += data
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)


@is_root
@pytest.mark.parametrize('verb', VERBS)
def test_no_verb_sends_what_only_root_may_read(
        embedded, embedded_tree, folder, tmp_path, verb):
    """The user's ini names root's credentials, and the user's ZooKeeper."""
    secret = tmp_path / 'auth'
    secret.write_text('digest root:opensesame\n')
    secret.chmod(0o600)
    with contextlib.closing(Tap(embedded.connection_string)) as tap:
        # fg and start would wait for it.
        ini = write_ini(folder, f'127.0.0.1:{tap.port}',
                        zookeeper_auth_file=str(secret), path=f'{PATH}/no')
        status, output = call(ini, verb)
    assert b'opensesame' not in tap.seen
    assert 'opensesame' not in output
    if verb not in ('forget', 'logreopen', 'reload', 'show', 'stop'):
        assert f'cannot read {secret}: Permission denied' in output
        assert status


@is_root
@pytest.mark.parametrize('verb', VERBS)
def test_every_verb_is_the_user_before_it_reads_the_ini(folder, verb):
    ini = write_ini(folder, 'z:1')
    ini.chmod(0o600)
    output = call(ini, verb)[1]
    if verb not in ('forget', 'logreopen'):
        assert 'Permission denied' in output


@pytest.mark.parametrize('verb', ['status', 'stop', 'logreopen', 'monitor'])
def test_a_fifo_for_a_pid_file_is_not_waited_for(
        embedded, embedded_tree, tmp_path, verb):
    ini = write_ini(tmp_path, embedded.connection_string)
    os.mkfifo(tmp_path / 'web.pid')
    with subprocess.Popen(
            [sys.executable, '-m', 'zc.zkzopeserver', str(ini), verb],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}
            ) as process:
        assert 'not running' in process.communicate(timeout=20)[0]


def test_a_fifo_for_a_pid_file_does_not_keep_a_server_from_starting(
        embedded, embedded_tree, tmp_path):
    from zc.zkzopeserver.cli import pidfile
    path = tmp_path / 'web.pid'
    os.mkfifo(path)
    with pidfile.held(str(path), 'web.ini') as had:
        assert not had
    pidfile.clear(str(path))
    assert pidfile.read(str(path)) is None


@contextlib.contextmanager
def flooding(listener, *pieces, pause=0.0):
    """Answer each client with the first piece, and then others without end."""
    ended = threading.Event()

    def flood(sock):
        with sock, contextlib.suppress(OSError):
            sock.recv(65536)
            sock.sendall(pieces[0])
            while not ended.wait(pause):
                sock.sendall(pieces[-1])

    def accept():
        with contextlib.suppress(OSError):
            while True:
                flood(listener.accept()[0])

    thread = threading.Thread(target=accept)
    with listener:
        thread.start()
        yield
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize('pause, words', [
    (0, 'answers with more than'), (0.01, 'does not answer within')],
    ids=['flood', 'drip'])
def test_the_answer_of_a_manager_has_an_end(
        short_path, monkeypatch, pause, words):
    """3.4 GB in 6 s, and a byte now and then for ever."""
    if pause:
        monkeypatch.setattr(zdaemon, 'ANSWER_S', 0.3)
    path = short_path / 'sock'
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    with flooding(listener, b'x' * (1 if pause else 65536), pause=pause), \
            pytest.raises(StartError, match=words):
        zdaemon.find(str(path))


CONTINUE = b'HTTP/1.1 100 Continue\r\n\r\n'


@pytest.mark.parametrize('pieces, pause, words', [
    # The first words are ours, the others http.client's, since Python 3.14.
    ([CONTINUE, CONTINUE * 1000], 0,
     'no response in the first|more than 100 interim responses'),
    ([CONTINUE, CONTINUE], 0.01, 'timed out'),
    ([b'HTTP/1.1 200 OK\r\n', b'x'], 0.01, 'timed out'),
    ([b'HTTP/1.1 200 OK\r\nX: ', b'x'], 0.01, 'timed out'),
    ([b'H', b'x'], 0.01, 'timed out')],
    ids=['flood', 'continue', 'field', 'value', 'status'])
def test_the_answer_of_a_server_has_an_end(pieces, pause, words):
    listener = socket.create_server(('127.0.0.1', 0))
    address = listener.getsockname()
    with flooding(listener, *pieces, pause=pause):
        answer = readiness.ask(address, '/', 0.3 if pause else 250)
    assert re.search(words, answer)


def test_a_fifo_for_a_transcript_is_not_waited_for(
        embedded, embedded_tree, tmp_path):
    ini = write_ini(tmp_path, embedded.connection_string)
    os.mkfifo(tmp_path / 'web.log')
    done = subprocess.run(
        [sys.executable, '-m', 'zc.zkzopeserver', str(ini), 'start'],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=20,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)})
    assert done.returncode == 2
    assert f'cannot write {tmp_path / "web.log"}: ' in done.stdout
