"""Servers are asked how they are, at their own hosts only."""
import contextlib
import json
import socket
import socketserver
import threading

import pytest
from zc.zk.testing.waiting import wait_for
from zc.zk.tree import Node
from zc.zk.view import health
from zc.zk.view.health import Health
from zc.zk.view.health import ask


@contextlib.contextmanager
def answering(answer, host='127.0.0.1'):
    """A monitor that answers each command in this way; yields its address."""
    asked = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            asked.append(self.rfile.readline())
            for piece in answer:
                with contextlib.suppress(OSError):
                    self.wfile.write(piece)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server((host, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,),
                         daemon=True).start()
        server.asked = asked
        yield server, f'{host}:{server.server_address[1]}'
        server.shutdown()


def server_node(name='127.0.0.1:8080', **properties):
    """A server's node."""
    return Node(name, properties, ephemeral=True)


STATUS = {'state': 'registered', 'in_flight': 2, 'queued': 1,
          'busy_threads': 1, 'threads': 4, 'password': 'hunter2',
          'uptime': 'x'}


def test_the_monitor_is_asked():
    with answering([json.dumps(STATUS).encode()[:20],
                    json.dumps(STATUS).encode()[20:] + b'\n']) as (server, at):
        told = ask(server_node(monitor=at))
        assert server.asked == [b'status json\n']
    assert told.pop('at') > 1_700_000_000_000
    assert told == {'state': 'registered', 'in_flight': 2, 'queued': 1,
                    'busy_threads': 1, 'threads': 4}


@pytest.mark.parametrize('answer, state', [
    ([b'[]\n'], 'no status in its answer'),
    ([b'{'], 'no status in its answer'),
    ([b'HTTP/1.1 400 Bad\r\n\r\n'], 'no status in its answer'),
    ([], 'no status in its answer'),
    ([b'[' * 60_000], 'no status in its answer'),
    ([b'x' * 65536] * 100, 'no status in its answer'),
    ([b'{"state": "\\u001b[2J\\nx"}'], '\\x1b[2J\\nx'),
    ([b'{"state": 17, "threads": -1, "queued": "2", "in_flight": true}'],
     '17'),
])
def test_hostile_answers(answer, state):
    with answering(answer) as (_, at):
        told = ask(server_node(monitor=at))
    assert told.pop('at')
    assert told == {'state': state}


def test_a_monitor_that_says_nothing(monkeypatch):
    monkeypatch.setattr(health, 'ANSWER_S', 0.2)
    with socket.create_server(('127.0.0.1', 0)) as silent:
        at = f'127.0.0.1:{silent.getsockname()[1]}'
        assert ask(server_node(monitor=at))['state'] == 'no answer'


@pytest.mark.parametrize('monitor', [
    '127.0.0.2:{port}', '[::1]:{port}', 'localhost:{port}', '/run/x.sock',
    '', 17, None, '127.0.0.1:0{port}', '127.0.0.1:{port}\n'])
def test_a_monitor_elsewhere_is_not_asked(monitor):
    """Whoever may write a property must not have us knock anywhere."""
    with answering([b'{}'], '127.0.0.1') as (server, at):
        port = at.partition(':')[2]
        if isinstance(monitor, str):
            monitor = monitor.format(port=port)
        told = ask(server_node(monitor=monitor))
        assert told['state'] == 'not asked: its monitor is on another host'
        assert server.asked == []


def test_without_a_monitor_the_port_is_tried(nobody):
    with answering([]) as (server, at):
        assert ask(server_node(at))['state'] == 'accepts'
    assert ask(server_node(nobody))['state'] == 'Connection refused'


def test_history_and_rounds(monkeypatch):
    monkeypatch.setattr(health, 'INTERVAL_S', 0.02)
    with answering([json.dumps(STATUS).encode()]) as (server, at):
        tree = Node('', children={'s': Node('s', children={
            '127.0.0.1:8080': server_node(monitor=at)})})
        asked = Health()
        told = wait_for(lambda: (told := asked.latest(tree, '/')) and len(
            json.loads(told)['/s/127.0.0.1:8080']) == health.SAMPLES and told,
            30, 'a minute of samples')
        samples = json.loads(told)['/s/127.0.0.1:8080']
        assert all(sample['state'] == 'registered' for sample in samples)
        tree.children['s'].children.clear()
        wait_for(lambda: asked.latest(tree, '/') == '{}', 10, 'no server')
        count = len(server.asked)
    assert Health().latest(None, '/') == ''
    assert count >= health.SAMPLES


def test_paths_begin_with_that_of_the_tree(nobody):
    top = Node('providers', children={nobody: server_node(nobody)})
    asked = Health()
    told = wait_for(lambda: asked.latest(top, '/cms/providers'), 30,
                    'an answer')
    assert list(json.loads(told)) == [f'/cms/providers/{nobody}']
