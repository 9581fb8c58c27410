"""The access log."""
from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from zope.server import accesslog
from zope.server.accesslog import BATCH_LINES
from zope.server.accesslog import SHORT_US
from zope.server.accesslog import AccessLog
from zope.server.accesslog import escaped
from zope.server.accesslog import log_time
from zope.server.errors import ServerError
from zope.server.server import Server
from zope_server_support.applications import PLAIN
from zope_server_support.applications import hello
from zope_server_support.corpus.case import get
from zope_server_support.talking import Client
from zope_server_support.talking import ask
from zope_server_support.talking import serving
from zope_server_support.talking import until

LINE = re.compile(
    r'(?P<address>\S+) - (?P<user>\S+)'
    r' \[(?P<time>\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\]'
    r' "(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3}) (?P<size>\d+|-)'
    r' "(?P<referer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)"'
    r' (?P<micros>\d+)\n')


def lines(path: Path) -> list[dict[str, str]]:
    """Return the fields of each line of a log; all must be well formed."""
    found = []
    for line in path.read_text('ascii').splitlines(keepends=True):
        match = LINE.fullmatch(line)
        assert match, line
        found.append(match.groupdict())
    return found


def logged(path: Path, *requests: bytes, application=hello,
           **options) -> list[dict[str, str]]:
    """Return the fields of the lines of these requests."""
    with serving(application, access_log=str(path), **options) as server:
        for request in requests:
            with Client(server.address) as client:
                client.send(request)
                client.response()
    return lines(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'access.log'


def test_a_line(path: Path) -> None:
    (line,) = logged(path, get(b'Referer: http://a.example/\r\n'
                               b'User-Agent: test/1.0 (x; y)\r\n', b'/a?b=c'))
    assert line['address'] == '127.0.0.1'
    assert line['user'] == '-'
    assert line['request'] == 'GET /a?b=c HTTP/1.1'
    assert (line['status'], line['size']) == ('200', '5')
    assert line['referer'] == 'http://a.example/'
    assert line['agent'] == 'test/1.0 (x; y)'
    assert 0 < int(line['micros']) < 10_000_000


def test_what_is_not_there(path: Path) -> None:
    def empty(environ, start_response):
        start_response('204 No Content', [])
        return []

    (line,) = logged(path, get(), application=empty)
    assert (line['status'], line['size']) == ('204', '-')
    assert (line['referer'], line['agent']) == ('-', '-')


def test_the_user(path: Path) -> None:
    def knowing(environ, start_response):
        environ['REMOTE_USER'] = 'j\u00e4ne doe'
        return hello(environ, start_response)

    (line,) = logged(path, get(), application=knowing)
    assert line['user'] == r'j\xe4ne\x20doe'


def test_the_time_taken(path: Path) -> None:
    def slow(environ, start_response):
        threading.Event().wait(0.05)
        return hello(environ, start_response)

    (line,) = logged(path, get(), application=slow)
    assert int(line['micros']) >= 50_000


def test_errors(path: Path) -> None:
    def failing(environ, start_response):
        raise ValueError

    (line,) = logged(path, get(), application=failing)
    assert line['status'] == '500'


def test_refused_requests(path: Path) -> None:
    found = logged(path, b'GET /a HTTP/1.1\r\n\r\n', b'nonsense\r\n\r\n',
                   get(target=b'/' + b'a' * 70000),
                   b'GET / HTTP/1.1\r\nX: a\nb\r\n\r\n')
    assert [line['status'] for line in found] == ['400', '400', '414', '400']
    assert found[0]['request'] == 'GET /a HTTP/1.1'
    assert found[1]['request'] == 'nonsense'
    assert len(found[2]['request']) == 1000


@pytest.mark.parametrize('field', [
    b'User-Agent: "; 200 0 "forged', b'User-Agent: a\\', b'Referer: a\\"',
    b'User-Agent: \xff\xfe\x80', b'Referer: \xe2\x80\xa8', b'User-Agent: "',
    b'User-Agent: \x85a', b'User-Agent: \xa0',
])
def test_nothing_can_be_forged(path: Path, field: bytes) -> None:
    (line,) = logged(path, get(field + b'\r\n'))
    assert line['status'] == '200'


def test_a_request_line_can_forge_nothing(path: Path) -> None:
    found = logged(path, b'GET /"\x1b[31m\x00 HTTP/1.1\r\n\r\n')
    assert found[0]['request'] == r'GET /\"\x1b[31m\x00 HTTP/1.1'


@pytest.mark.parametrize('text, quoted', [
    ('plain', 'plain'), ('a"b', r'a\"b'), ('a\\b', r'a\\b'),
    ('a\nb', r'a\x0ab'), ('\x7f', r'\x7f'), ('\xe9', r'\xe9'),
    ('\u2028', r'\u2028'),
])
def test_escaped(text: str, quoted: str) -> None:
    assert escaped(text) == quoted


@pytest.mark.parametrize('key, value, shown', [
    ('REMOTE_ADDR', '1.2.3.4 - - [x]\n"', r'1.2.3.4\x20-\x20-\x20[x]\x0a\"'),
    ('REMOTE_ADDR', 'j\u00e4ne', r'j\xe4ne'),
    ('REMOTE_ADDR', '', '-'),
    ('REQUEST_URI', '/other', '/'),
    ('REQUEST_METHOD', 'POST" 200', '/'),
    ('SERVER_PROTOCOL', '"\n', '/'),
])
def test_what_the_application_changes_can_forge_nothing(
        path: Path, key: str, value: str, shown: str) -> None:
    def changing(environ, start_response):
        environ[key] = value
        return hello(environ, start_response)

    (line,) = logged(path, get(), application=changing)
    assert (line['address'] if key == 'REMOTE_ADDR' else
            line['request'].split()[1]) == shown


@pytest.mark.parametrize('key, value', [
    ('REMOTE_ADDR', None),
    ('REMOTE_ADDR', ['1.2.3.4']),
    ('REMOTE_ADDR', ('1.2.3.4', 'me')),
    ('REMOTE_ADDR', ('1.2.3.4', 80, 0)),
    ('REQUEST_URI', None),
    ('REMOTE_USER', None),
    ('REMOTE_USER', 7),
    ('HTTP_USER_AGENT', ['a']),
    ('HTTP_REFERER', b'a'),
])
def test_what_the_application_spoils_has_its_line(
        path: Path, caplog: pytest.LogCaptureFixture, key: str,
        value: object) -> None:
    def spoiling(environ, start_response):
        environ[key] = value
        return hello(environ, start_response)

    def taking_away(environ, start_response):
        environ.pop(key, None)
        return hello(environ, start_response)

    for application in spoiling, taking_away:
        with serving(application, access_log=str(path)) as server:
            with Client(server.address) as client:
                client.send(2 * get(target=b'/"'))
                for _ in range(2):
                    assert client.response().status == 200
    found = path.read_text().splitlines()
    assert len(found) == 4
    for line in found:
        assert line.startswith('127.0.0.1 - - [')
        assert r'"GET /\" HTTP/1.1" 200 5 "-" "-" ' in line
    assert not caplog.text


def test_a_line_that_is_not_ascii_is_escaped_alone(path: Path) -> None:
    log = AccessLog(str(path))
    log.add_line('a\n')
    log.add_line('\u00e4\n')
    log.close()
    assert path.read_text() == 'a\n\\xe4\n'


class Answer:
    """An answered request, as the log reads it."""

    def __init__(self, target: str = '/', sent: int = 5, method: str = 'GET',
                 began: float | None = None, **environ: object) -> None:
        self.environ = {'REMOTE_ADDR': '1.2.3.4', **environ}
        self.began = time.monotonic() if began is None else began
        self.line = f'{method} {target} HTTP/1.1'
        self.code = 200
        self.sent = sent
        self.peer = '5.6.7.8'


def add(log: AccessLog, answer: Answer) -> None:
    """Add the line of a request that is answered now."""
    log.add(answer, time.monotonic())


def test_a_line_that_comes_during_a_write_is_written_too(
        path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Late(Answer):
        """Lets the log's thread finish before the line is there."""

        @property
        def peer(self) -> str:
            # The last act of that thread is to tell how many.
            log.dropped += 1
            log.wake()
            until(lambda: 'lines were dropped' in caplog.text)
            return '5.6.7.8'

        @peer.setter
        def peer(self, value: str) -> None:
            pass

    log = AccessLog(str(path), shows_peer=True)
    log.start()
    add(log, Late('/2'))
    until(lambda: 'GET /2 ' in path.read_text())
    log.close()


def test_a_line_has_the_second_of_the_last_turn(path: Path) -> None:
    """That of the request's beginning if it took longer; clocks go back."""
    log = AccessLog(str(path))
    seconds = 1_500_000_000, 1_500_000_001, 1_400_000_000
    for second in seconds:
        log.tick(second)
        now = time.monotonic()
        for taken in (0.0, SHORT_US / 1e6 + 60):
            log.add(Answer(began=now), now + taken)
            log.add(Answer(began=now, REMOTE_USER='me'), now + taken)
    now = int(time.time())
    log.close()
    found = [line['time'] for line in lines(path)]
    assert found[0::4] == found[1::4] == [*map(log_time, seconds)]
    assert {*found[2::4], *found[3::4]} <= {
        log_time(second) for second in range(now - 30, now + 1)}
    assert [line['user'] for line in lines(path)] == 6 * ['-', 'me']


def test_lines_of_many_batches(path: Path) -> None:
    log = AccessLog(str(path))
    count = 3 * BATCH_LINES
    now = time.time()
    for number in range(count):
        began = time.monotonic() - number % 3
        add(log, Answer(f'/{number}', number, 'PUT' if number % 2 else 'GET',
                       began))
        if number % 7 == 0:
            log.tick(int(time.time()))
            assert log.lines - log._made <= BATCH_LINES + 7
    log.close()
    found = lines(path)
    assert [line['request'] for line in found] == [
        f'{"PUT" if number % 2 else "GET"} /{number} HTTP/1.1'
        for number in range(count)]
    assert [line['size'] for line in found] == [
        str(number or '-') for number in range(count)]
    for number, line in enumerate(found):
        began = time.mktime(time.strptime(line['time'][:20],
                                          '%d/%b/%Y:%H:%M:%S'))
        assert now - number % 3 - 1 <= began <= time.time() - number % 3
        assert 0 <= int(line['micros']) - number % 3 * 10**6 < 10**6


@pytest.mark.parametrize('size, shown', [
    (0, '-'), (1, '1'), (999, '999'), (1000, '1000'), (10**12, str(10**12))])
@pytest.mark.parametrize('environ, client', [
    ({}, '"-" "-"'),
    ({'HTTP_USER_AGENT': 'a b'}, '"-" "a b"'),
    ({'HTTP_REFERER': '/'}, '"/" "-"'),
    ({'HTTP_REFERER': '/"', 'HTTP_USER_AGENT': 'a'}, r'"/\"" "a"'),
    ({'HTTP_REFERER': '" "', 'HTTP_USER_AGENT': '\n'}, r'"\" \"" "\x0a"'),
    ({'HTTP_USER_AGENT': ''}, '"-" ""'),
    ({'HTTP_USER_AGENT': ['a']}, '"-" "-"'),
])
def test_lines_of_a_batch_that_differ(
        path: Path, size: int, shown: str, environ: dict[str, object],
        client: str) -> None:
    log = AccessLog(str(path))
    others = ({}, {'HTTP_USER_AGENT': 'b'})
    for other in others:
        add(log, Answer('/1', **other))
        add(log, Answer('/2', size, **environ))
        add(log, Answer('/"\\', 5, **other))
    log.close()
    found = [line.split('"', 1)[1].rpartition(' ')[0]
             for line in path.read_text().splitlines()]
    assert found == [
        line for agent in ('-', 'b') for line in (
            f'GET /1 HTTP/1.1" 200 5 "-" "{agent}"',
            f'GET /2 HTTP/1.1" 200 {shown} {client}',
            rf'GET /\"\\ HTTP/1.1" 200 5 "-" "{agent}"')]


def test_the_peer_is_shown_with_each_line(path: Path) -> None:
    log = AccessLog(str(path), shows_peer=True)
    add(log, Answer())
    add(log, Answer('/"', REMOTE_USER='me'))
    add(log, Answer(REMOTE_ADDR=None))
    log.add_error('1.1.1.1', b'nonsense', 400, 7, '5.6.7.8')
    log.close()
    found = path.read_text().splitlines()
    assert [re.sub(r'\[.*?\]|\d+ (?=5.6.7.8)', '', line)
            for line in found] == [
        '1.2.3.4 - -  "GET / HTTP/1.1" 200 5 "-" "-" 5.6.7.8',
        r'1.2.3.4 - me  "GET /\" HTTP/1.1" 200 5 "-" "-" 5.6.7.8',
        '5.6.7.8 - -  "GET / HTTP/1.1" 200 5 "-" "-" 5.6.7.8',
        '1.1.1.1 - -  "nonsense" 400 7 "-" "-" 5.6.7.8']


def test_rotation(path: Path, tmp_path: Path) -> None:
    with serving(hello, access_log=str(path)) as server:
        ask(server.address, b'/1')
        until(lambda: path.read_text())
        path.rename(tmp_path / 'old.log')
        server.reopen_logs()
        ask(server.address, b'/2')
    assert '/1' in (tmp_path / 'old.log').read_text()
    assert '/2' in path.read_text()


def test_a_file_that_cannot_be_reopened_is_kept(
        path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serving(hello, access_log=str(path)) as server:
        moved = tmp_path / 'old.log'
        path.rename(moved)
        path.mkdir()
        server.reopen_logs()
        ask(server.address, b'/1')
    assert '/1' in moved.read_text()
    assert 'cannot be opened again: Is a directory' in caplog.text


def test_a_full_disk_is_survived(caplog: pytest.LogCaptureFixture) -> None:
    with serving(hello, access_log='/dev/full') as server:
        log = server.engine.shared.access_log
        for number in range(1, 4):
            assert ask(server.address).status == 200
            until(lambda count=number: log.lines == count)
        until(lambda: 'No space left on device' in caplog.text)
    assert '3 lines of the access log are lost' in caplog.text


# Adds lines while the file may have no more bytes than it is told, one more
# when it may have any number, and is told to rotate it in between.
LIMITED = """
import os
import resource
import sys
from zope.server.accesslog import AccessLog

path, is_rotated = sys.argv[1], sys.argv[2] == 'True'
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for size in range(23):
    log = AccessLog(path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    log.add_line('0 abcdefgh\\n')
    log.add_line('1 abcdefgh\\n')
    for _ in range(2):
        log._write()
    assert log.lines == (22 - size + 10) // 11, (size, log.lines)
    if is_rotated:
        os.rename(path, path + '.1')
        for _ in range(2):
            assert log.file.reopen() is None
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    log.add_line('2 abcdefgh\\n')
    log.close()
    found = open(path).read()
    if is_rotated:
        old = open(path + '.1').read()
        assert len(old) == size
        # The half of a line is nowhere but at the end of the old one.
        whole = -(-size // 11)
        assert found == ''.join(f'{number} abcdefgh\\n'
                                for number in range(whole, 3)), (whole, found)
    else:
        assert found == ''.join(f'{number} abcdefgh\\n'
                                for number in range(3)), (size, found)
    os.unlink(path)
print('all as it should be')
"""


@pytest.mark.parametrize('is_rotated', [False, True])
def test_lines_that_are_written_in_part(path: Path, is_rotated: bool) -> None:
    """At each byte; the limit of a file stands for a disk that is full."""
    done = subprocess.run(
        [sys.executable, '-c', LIMITED, str(path), str(is_rotated)],
        capture_output=True, text=True,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)})
    assert done.stdout == 'all as it should be\n', done.stderr
    assert 'cannot be written: File too large' in done.stderr


@pytest.mark.parametrize('has_reader', [False, True])
def test_a_pipe(path: Path, has_reader: bool) -> None:
    os.mkfifo(path)
    if not has_reader:
        with pytest.raises(ServerError) as error:
            Server(hello, host='127.0.0.1', access_log=str(path))
        assert str(error.value) == (
            f'cannot write the access log {path}: no process reads this pipe')
        return
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open(reader) as lines_of_pipe:
        with serving(hello, access_log=str(path)) as server:
            for _ in range(3):
                ask(server.address)
        assert len(lines_of_pipe.readlines()) == 3


def test_a_pipe_whose_reader_hangs(
        path: Path, caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not hang a stop."""
    monkeypatch.setattr(accesslog, 'CLOSE_S', 0.1)
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    log = AccessLog(str(path))
    log.start()
    line = 'a' * 999 + '\n'
    # More than a pipe has room for, pipe(7).
    for _ in range(2000):
        log.add_line(line)
    log.close()
    assert '2000 lines of the access log are lost: a write' in caplog.text
    # It goes on as soon as the pipe is read.
    size = 0
    with open(reader, 'rb') as file:
        os.set_blocking(reader, True)
        while size < 2000 * len(line):
            size += len(file.read1())
        monkeypatch.setattr(accesslog, 'CLOSE_S', 250.0)
        log.close()
        assert file.read() == b''


def test_a_socket(path: Path) -> None:
    """As /dev/stdout is, where systemd has started the server."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        with pytest.raises(ServerError, match='this is a socket; for standard'
                           ' output write "-"'):
            Server(hello, host='127.0.0.1', access_log=str(path))


def test_lines_without_a_standard_output(
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(sys, 'stdout', None)
    with serving(hello, access_log='-') as server:
        ask(server.address)
        ask(server.address)
    assert not caplog.text


def test_an_existing_file_is_continued(path: Path) -> None:
    path.write_text('before\n')
    with serving(hello, access_log=str(path)) as server:
        ask(server.address)
    assert path.read_text().startswith('before\n127.0.0.1')


def test_no_stdout_is_no_trouble_without_lines(
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(sys, 'stdout', None)
    log = AccessLog('-')
    log.start()
    log.close()
    assert not caplog.text


def test_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(hello, access_log='-') as server:
        ask(server.address)
        server.reopen_logs()
    assert '"GET / HTTP/1.1" 200 5' in capsys.readouterr().out


def test_every_request_of_many_has_its_line(path: Path) -> None:
    with serving(hello, access_log=str(path), threads=4) as server:
        def ask_many() -> None:
            with Client(server.address) as client:
                for _ in range(100):
                    client.get()
        threads = [threading.Thread(target=ask_many) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(lines(path)) == 400


def test_what_the_disk_does_not_take_is_dropped_and_counted(
        path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = AccessLog(str(path))
    log.max_lines = 2
    for number in range(5):
        log.add_error('x', b'%d' % number, 400, 0)
    log.close()
    log.close()
    assert path.read_text().count('\n') == 2
    assert '3 lines were dropped' in caplog.text


def test_answers_to_a_disk_that_takes_nothing_are_bounded(
        path: Path, caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accesslog, 'BATCH_LINES', 0)
    with serving(hello, access_log=str(path)) as server:
        log = server.engine.shared.access_log
        # As if the thread that writes hung in write(2).
        with log.file.lock:
            ask(server.address)
            # The client has its response before there is a line.
            until(lambda: not server.statistics().connections)
            until(lambda: log.lines == 1 and not log._parts
                  and not log._texts)
            log.max_lines = 10
            with Client(server.address) as client:
                for _ in range(30):
                    client.get()
            # The one that is being written is in memory, too.
            until(lambda: log.dropped == 21 and log.lines == 10)
    assert path.read_text().count('\n') == 10
    dropped = re.findall(r'(\d+) lines were dropped', caplog.text)
    assert sum(map(int, dropped)) == 21


def test_what_is_dropped_does_not_fill_another_log(
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is tried ten times a second."""
    monkeypatch.setattr(accesslog, 'REPORT_S', 600.0)
    log = AccessLog('/dev/full')
    log.max_lines = 1
    for _ in range(50):
        log.add_line('a\n')
        log._write()
    log.close()
    dropped = re.findall(r'(\d+) lines were dropped', caplog.text)
    assert dropped == ['1', '48']


def test_the_file_is_created_for_its_owner_to_decide(path: Path) -> None:
    mask = os.umask(0o027)
    try:
        AccessLog(str(path)).close()
    finally:
        os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize('zone, text', [
    ('UTC', '14/Jul/2017:02:40:00 +0000'),
    ('XXX-5:30', '14/Jul/2017:08:10:00 +0530'),
    ('XXX+8', '13/Jul/2017:18:40:00 -0800'),
])
def test_times_are_local(zone: str, text: str,
                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('TZ', zone)
    time.tzset()
    assert log_time(1_500_000_000) == text
    monkeypatch.undo()
    time.tzset()


def test_write_sizes(path: Path) -> None:
    def partly(environ, start_response):
        write = start_response('200 OK', PLAIN)
        write(b'abc')
        return [b'de', b'f']

    (line,) = logged(path, get(), application=partly)
    assert line['size'] == '6'
