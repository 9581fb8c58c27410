"""Messages between a parent and its workers."""
from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies
from zc.zk.testing.waiting import wait_for

from zc.zkzopeserver import options
from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.workers import protocol

OPTIONS = protocol.WorkerOptions(4, 60, 30, 1, 60)


@pytest.fixture
def pair():
    """A worker's link and the parent's socket."""
    ours, theirs = socket.socketpair()
    with ours:
        link = protocol.Link(theirs)
        yield link, ours
        link.close()


def test_what_a_worker_says(pair):
    link, parent = pair
    link.hello(OPTIONS)
    link.serving()
    link.registered('127.0.0.1:8080')
    link.beat()
    link.stopping()
    hello, *lines = protocol.LineDecoder().feed(parent.recv(4096))
    assert lines == ['serving', 'registered 127.0.0.1:8080', 'beat',
                     'stopping']
    assert protocol.WorkerOptions.decode(
        hello.removeprefix('hello ')) == OPTIONS


def test_worker_options_of_options():
    parsed = options.parse({'zookeeper': 'localhost:2181', 'path': '/p',
                            'workers': '4'})
    assert protocol.WorkerOptions.of(parsed) == OPTIONS
    assert OPTIONS.stop_s == 30 + 1 + protocol.MARGIN_S


@pytest.mark.parametrize('text', [
    '', '{}', '[]', 'null', '{"workers": 1}', '[' * 100_000,
    OPTIONS.encode().replace('4', '0'), OPTIONS.encode().replace('4', '"x"'),
    OPTIONS.encode().replace('30', '"x"')])
def test_no_worker_options(text):
    with pytest.raises(ValueError):
        protocol.WorkerOptions.decode(text)


@given(strategies.lists(strategies.text(
    strategies.characters(exclude_characters='\n',
                          exclude_categories=['Cs']), max_size=20)),
       strategies.integers(1, 30))
def test_lines_come_whole(lines, size):
    data = ''.join(line + '\n' for line in lines).encode()
    decoder = protocol.LineDecoder()
    found = []
    for start in range(0, len(data), size):
        found += decoder.feed(data[start:start + size])
    assert found == lines


def test_endless_line_is_not_kept():
    decoder = protocol.LineDecoder()
    for _ in range(100):
        decoder.feed(b'x' * 4096)
    line, = decoder.feed(b'\n')
    assert len(line) == protocol.LINE_LIMIT_BYTES


def test_a_full_channel_blocks_nobody(pair):
    link, parent = pair
    for _ in range(10_000):
        link.beat()
    assert parent.recv(5) == b'beat\n'


def attended(link):
    """What the link calls, as it comes."""
    called = []
    link.attend({'reopen': lambda: called.append('reopen'),
                 'hurry': lambda: called.append('hurry')},
                lambda: called.append('gone'), 60)
    return called


def test_what_the_parent_says(pair):
    link, parent = pair
    called = attended(link)
    for line in 'reopen', 'nothing that we know', '', 'hurry', 'reopen':
        protocol.send(parent, line)
    wait_for(lambda: called == ['reopen', 'hurry', 'reopen'])


def test_parent_is_gone(pair, caplog):
    link, parent = pair
    called = attended(link)
    parent.close()
    wait_for(lambda: called == ['gone'])


def test_closing_is_no_loss_of_the_parent(pair, caplog):
    link, _ = pair
    before = set(threading.enumerate())
    called = attended(link)
    link.close()
    assert called == []
    assert not caplog.text
    # Threads of earlier tests may end meanwhile.
    assert set(threading.enumerate()) <= before


def run(code, **environ):
    return subprocess.run([sys.executable, '-c', code], timeout=30,
                          env=os.environ | environ, capture_output=True,
                          text=True)


def test_worker_that_outlives_its_parent_is_ended():
    found = run('import socket, time\n'
                'from zc.zkzopeserver.workers import protocol\n'
                'ours, theirs = socket.socketpair()\n'
                'link = protocol.Link(theirs)\n'
                'link.attend({}, int, .05)\n'
                'ours.close()\n'
                'time.sleep(60)\n')
    assert found.returncode == 1
    assert 'not stopped in 0.05 s: ending at once' in found.stderr


def test_a_link_is_found_once_and_not_inherited():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        code = ('import os\n'
                'from zc.zkzopeserver.workers import protocol\n'
                'assert protocol.link() is protocol.link()\n'
                'assert protocol.VARIABLE not in os.environ\n'
                'assert protocol.link().beat_interval_s == 2.5\n'
                'assert not protocol.link().is_inheritable\n'
                'assert not protocol.is_parent(2)\n'
                'protocol.link().beat()\n'
                'protocol.link().close()\n')
        subprocess.run([sys.executable, '-c', code], check=True, timeout=30,
                       pass_fds=[theirs.fileno()], env=os.environ | {
                           protocol.VARIABLE: f'{theirs.fileno()}:2.5'})
        assert ours.recv(100) == b'beat\n'


def test_no_link(monkeypatch):
    monkeypatch.delenv(protocol.VARIABLE, raising=False)
    protocol.link.cache_clear()
    try:
        assert protocol.link() is None
        assert protocol.is_parent(2)
        assert not protocol.is_parent(1)
    finally:
        protocol.link.cache_clear()


@pytest.mark.parametrize('value', ['', 'x', '99999', '-1', '0:x'])
def test_variable_set_by_hand(monkeypatch, value):
    monkeypatch.setenv(protocol.VARIABLE, value)
    protocol.link.cache_clear()
    try:
        with pytest.raises(ConfigurationError, match='not for setting by'):
            protocol.link()
    finally:
        protocol.link.cache_clear()
