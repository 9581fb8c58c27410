"""The manager of zdaemon: its answers, its configuration, its launch."""
import contextlib
import importlib.resources
import os
import socket
import subprocess
import sys
import threading

import pytest

from zc.zkzopeserver.cli import zdaemon
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.errors import StartError


@contextlib.contextmanager
def listening(path, answer):
    """Listen on a unix socket and give one answer; None: no answer."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
        done = threading.Event()

        def serve():
            connection, _ = sock.accept()
            with connection:
                connection.recv(100)
                if answer is None:
                    done.wait(10)
                else:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        done.set()
        thread.join()


def test_a_manager_with_a_full_backlog_is_waited_for(tmp_path, monkeypatch):
    path = str(tmp_path / 'sock')
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        with contextlib.ExitStack() as clients:
            with pytest.raises(BlockingIOError):
                while True:
                    client = clients.enter_context(
                        socket.socket(socket.AF_UNIX))
                    client.setblocking(False)
                    client.connect(path)
            monkeypatch.setattr(zdaemon, 'ANSWER_S', 0.1)
            with pytest.raises(StartError, match='not answer within 0.1 s'):
                zdaemon.ask(path, 'status')
            others = clients.pop_all()
        monkeypatch.setattr(zdaemon, 'ANSWER_S', 20.)
        has_waited, pause = threading.Event(), zdaemon.time.sleep

        def wait(seconds):
            has_waited.set()
            pause(seconds)

        def serve():
            assert has_waited.wait(10)
            others.close()
            command = b''
            while not command:
                connection, _ = listener.accept()
                with connection:
                    if command := connection.recv(100):
                        connection.sendall(b'state=RUNNING')

        monkeypatch.setattr(zdaemon.time, 'sleep', wait)
        thread = threading.Thread(target=serve)
        thread.start()
        assert zdaemon.ask(path, 'status') == b'state=RUNNING'
        thread.join()



def test_nobody_listens(tmp_path):
    path = tmp_path / 'sock'
    assert zdaemon.find(str(path)) is None
    with listening(path, b'x'):
        zdaemon.ask(str(path), 'status')
    # The socket is stale now.
    assert path.exists()
    assert zdaemon.find(str(path)) is None
    path.unlink()
    path.write_text('no socket')
    assert zdaemon.find(str(path)) is None
    assert zdaemon.find(str(tmp_path / ('x' * 200))) is None


def test_what_a_manager_says(tmp_path):
    path = tmp_path / 'sock'
    answer = (b'status=running\nnow=1700000000.5\nshould_be_up=1\n'
              b'delay=0\napplication=12\ntesting=0\nmanager=11\n'
              b"filename='/bin/python'\n"
              b"args=['/bin/python', '/b/fg', 'fg', '-o', 'a=b=c', '-o',"
              b" 'd=']\n")
    with listening(path, answer):
        assert zdaemon.find(str(path)) == zdaemon.Manager(
            11, 12, (('a', 'b=c'), ('d', '')))


@pytest.mark.parametrize('answer', [
    b'', b'\xff\0', b'HTTP/1.1 400 Bad Request\r\n\r\n', b'manager=1\n'])
def test_what_is_no_manager(tmp_path, answer):
    path = tmp_path / 'sock'
    with listening(path, answer), pytest.raises(StartError, match='zdaemon'):
        zdaemon.find(str(path))


def test_a_manager_that_hangs(tmp_path, monkeypatch):
    monkeypatch.setattr(zdaemon, 'ANSWER_S', 0.05)
    path = tmp_path / 'sock'
    with listening(path, None), pytest.raises(StartError, match='answer'):
        zdaemon.find(str(path))


@pytest.mark.parametrize('args', [
    b'', b'args=', b'args=[', b'args=__import__("os")', b'args=1',
    b"args=['python', 'web']", b"args=['fg']", b"args=['fg', '-o']",
    b"args=[['fg']]", b'args=' + b'[' * 1000])
def test_arguments_that_say_nothing(tmp_path, args):
    path = tmp_path / 'sock'
    with listening(path, b'application=1\nmanager=2\n' + args + b'\n'):
        assert zdaemon.find(str(path)).overrides == ()


def instance(folder, **run):
    return Instance(str(folder / 'web.ini'), 'web', {'a': 'b c', 'd': '$x'},
                 run, ['python', 'bin/web'])


def test_what_runs_the_server(tmp_path):
    assert zdaemon.foreground(instance(tmp_path)) == [
        'python', 'bin/web', 'fg', '-o', 'a=b c', '-o', 'd=$x']


def test_the_configuration_is_one(tmp_path):
    """zdaemon's own parser reads it, with any path in it."""
    import ZConfig

    folder = tmp_path / 'a b$c#d%(x)s'
    folder.mkdir()
    file = tmp_path / 'conf'
    file.write_text(zdaemon.configuration(instance(folder), 40.2))
    schema = ZConfig.loadSchema(
        str(importlib.resources.files('zdaemon') / 'schema.xml'))
    found, _ = ZConfig.loadConfig(schema, str(file))
    assert found.runner.stop_timeout == 41
    assert found.runner.exit_codes == [0, 2]
    assert found.runner.forever is True
    assert found.eventlog.handler_factories[0].section.path == str(
        folder / 'web.log')


def test_a_path_that_is_too_long_for_a_socket(tmp_path):
    with pytest.raises(ConfigurationError, match='is too long: at most 99'):
        zdaemon.check(instance(tmp_path, socket='/' + 'x' * 99))


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ConfigurationError, match='no such directory'):
        zdaemon.check(instance(tmp_path, socket='/nosuch/web.sock'))
    with pytest.raises(ConfigurationError, match='no such directory'):
        zdaemon.check(instance(tmp_path, transcript='/nosuch/web.log'))


def test_a_transcript_that_cannot_be_written(tmp_path):
    (tmp_path / 'web.log').mkdir()
    with pytest.raises(ConfigurationError, match='cannot write .*web.log'):
        zdaemon.check(instance(tmp_path))


def test_without_zdaemon(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'zdaemon', None)
    with pytest.raises(ConfigurationError,
                       match=r'zc\.zkzopeserver\[daemon\]') as caught:
        zdaemon.check(instance(tmp_path))
    assert '\n' not in str(caught.value)


def test_zdaemon_that_does_not_start(tmp_path):
    (tmp_path / 'web.ini').touch()
    here = instance(tmp_path)
    here.program = [sys.executable, '-c', 'raise SystemExit("what a pity")']
    with pytest.raises(StartError, match='what a pity'):
        zdaemon.launch(here, 10)


def test_a_start_script_that_does_not_heed_its_command_line(
        tmp_path, monkeypatch):
    """It would start one process after the other."""
    monkeypatch.setenv(zdaemon.VARIABLE, '1')
    with pytest.raises(ConfigurationError, match='does not heed'):
        zdaemon.check(instance(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason='needs root')
def test_a_manager_of_another_user(tmp_path):
    path = tmp_path / 'sock'
    for folder in tmp_path, tmp_path.parent, tmp_path.parent.parent:
        folder.chmod(0o755)
    code = ('import os, sys; from zc.zkzopeserver.cli import zdaemon;'
            ' os.setuid(65534); zdaemon.find(sys.argv[1])')
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
        path.chmod(0o700)
        done = subprocess.run(
            [sys.executable, '-c', code, str(path)], text=True,
            capture_output=True, env={
                **os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)})
    assert 'NotAllowed: ' + str(path) in done.stderr
