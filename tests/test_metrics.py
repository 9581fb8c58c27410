"""Metrics of a server: their text, and the listener that serves it."""
from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import prometheus_client
import prometheus_client.parser
import psutil
import pytest
from kazoo.client import KazooClient
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.running import PATH
from zkzopeserver_support.running import application
from zkzopeserver_support.running import get
from zkzopeserver_support.running import running
from zkzopeserver_support.scraping import exchange
from zkzopeserver_support.scraping import scrape
from zope.server.form import form

from zc.zkzopeserver import metrics
from zc.zkzopeserver import metricsserver

PROMTOOL = shutil.which('promtool')
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason='promtool is not installed (Debian: prometheus)')


@contextlib.contextmanager
def measured(zookeeper, tree, app=application, **options):
    """Run a server with metrics; yield (its address, that of its metrics)."""
    with running(zookeeper, app, metrics='127.0.0.1:0', **options):
        [name] = tree.get_children(PATH)
        data = json.loads(tree.get(f'{PATH}/{name}')[0])
        yield name, data['metrics']


def test_the_node_says_where_the_metrics_are(zookeeper, tree):
    with measured(zookeeper, tree) as (address, where):
        found = scrape(where)
        assert found['zkzopeserver_registration_state',
                     'state="registered"'] == 1
        assert found['zkzopeserver_registration_state', 'state="lost"'] == 0
        assert found['zkzopeserver_reregistrations_total', ''] == 0
        assert found['zkzopeserver_connections_limit', ''] == 1000
        assert get(address)[0] == 200
        wait_for(lambda: scrape(where)[
            'zkzopeserver_requests_total',
            'method="GET",status="2xx"'] == 1)
        found = scrape(where)
        assert found['zkzopeserver_request_duration_seconds_count', ''] == 1
        assert found['zkzopeserver_request_queue_seconds_bucket',
                     'le="+Inf"'] == 1
        assert found['zkzopeserver_connections_accepted_total', ''] == 1
        # Here they are the library's own, as the test has imported it.
        assert 0 < found['process_resident_memory_bytes', ''] < 2 ** 40
        assert found['process_start_time_seconds', ''] < time.time()
        assert found['process_open_fds', ''] <= found['process_max_fds', '']
        [info] = [labels for name, labels in found
                  if name == 'zkzopeserver_info']
        assert f'form="{form()}",path="{PATH}"' in info


def test_without_the_option_there_are_none(embedded, embedded_tree):
    with running(embedded):
        [name] = embedded_tree.get_children(PATH)
        data = json.loads(embedded_tree.get(f'{PATH}/{name}')[0])
        assert set(data) == {'pid'}
        assert not any(thread.name == 'zc.zkzopeserver.metrics'
                       for thread in threading.enumerate())


def test_a_lost_node_shows_and_is_counted(zookeeper, tree):
    with measured(zookeeper, tree) as (address, where):
        zookeeper.expire(registered_client())
        wait_for(lambda: scrape(where)[
            'zkzopeserver_reregistrations_total', ''] == 1)
        wait_for(lambda: scrape(where)[
            'zkzopeserver_registration_state', 'state="registered"'] == 1)


def registered_client() -> KazooClient:
    """Return the client of the server that runs in this process."""
    from zc.zkzopeserver import signals
    [service] = signals.running
    return service.parts.registration._zk.client


@needs_promtool
def test_promtool_finds_nothing_to_complain_of(embedded, embedded_tree):
    with measured(embedded, embedded_tree) as (address, where):
        get(address)
        text = exchange(where, b'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n')
        found = subprocess.run(
            [PROMTOOL, 'check', 'metrics'], capture_output=True,
            input=text.partition(b'\r\n\r\n')[2])
        assert (found.returncode, found.stdout, found.stderr) == (
            0, b'', b'')


def test_the_library_of_others_reads_the_text(embedded, embedded_tree):
    with measured(embedded, embedded_tree) as (address, where):
        get(address)
        text = exchange(where, b'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n')
    families = {family.name: family for family in
                prometheus_client.parser.text_string_to_metric_families(
                    text.partition(b'\r\n\r\n')[2].decode())}
    assert families['zkzopeserver_requests'].type == 'counter'
    buckets = [(sample.labels['le'], sample.value) for sample in
               families['zkzopeserver_request_duration_seconds'].samples
               if sample.name.endswith('_bucket')]
    assert [bound for bound, _ in buckets] == [
        '0.005', '0.01', '0.025', '0.05', '0.1', '0.25', '0.5', '1.0', '2.5',
        '5.0', '10.0', '+Inf']
    values = [value for _, value in buckets]
    assert values == sorted(values)
    assert families['zkzopeserver_threads'].documentation.endswith('.')


def test_our_own_figures_of_the_process():
    page = metrics.Page()
    metrics.add_process(page)
    theirs = prometheus_client.generate_latest().decode()
    kinds = [line for line in page.text().splitlines()
             if line.startswith('# TYPE ')]
    # The names and kinds are the library's.
    assert kinds
    assert set(kinds) == {line for line in theirs.splitlines()
                          if line.startswith('# TYPE process_')}


def test_figures_of_the_process_are_those_of_psutil():
    process = psutil.Process()
    with contextlib.ExitStack() as stack:
        before = metrics.open_descriptors()
        for _ in range(10):
            stack.enter_context(contextlib.closing(socket.socket()))
        assert metrics.open_descriptors() == before + 10
        # Where psutil counts them, it has one more open to do so.
        assert process.num_fds() - metrics.open_descriptors() in (0, 1)
    found, memory = metrics.memory_bytes(), process.memory_info()
    for ours, theirs in zip(found, (memory.rss, memory.vms), strict=True):
        assert abs(ours - theirs) < 2 ** 22
    assert metrics.start_time(process.pid) == process.create_time()


@pytest.mark.skipif(sys.platform != 'linux' or os.geteuid() != 0,
                    reason='for root on Linux')
def test_memory_where_proc_has_the_numbers_of_another_namespace():
    """As where a container has the /proc of its host."""
    code = ('import psutil; from zc.zkzopeserver import metrics;'
            ' assert psutil.pid_exists(1);'
            ' taken = bytearray(2 ** 26);'
            ' assert metrics.memory_bytes()[0] > 2 ** 26')
    subprocess.run(['unshare', '--pid', '--fork', sys.executable, '-c', code],
                   check=True, env={**os.environ,
                                    'PYTHONPATH': ':'.join(sys.path)})


@pytest.mark.skipif(not os.path.exists('/proc/self/statm'),
                    reason='Linux has the figures')
def test_a_forked_child_has_figures_of_its_own():
    """And no descriptor of those of its parent."""
    code = ('import os; from zc.zkzopeserver import metrics;'
            ' taken = bytearray(2 ** 26);'
            ' metrics.memory_bytes(); before = metrics.open_descriptors();'
            ' pid = os.fork();'
            ' child = metrics.open_descriptors() if not pid else 0;'
            ' taken = None if not pid else taken;'
            ' memory, _ = metrics.memory_bytes();'
            ' pid or os._exit(0 if child == before - 1'
            '   and metrics.open_descriptors() == before'
            '   and memory < 2 ** 26 else 9);'
            ' assert memory > 2 ** 26;'
            ' assert os.waitpid(pid, 0)[1] == 0')
    subprocess.run([sys.executable, '-c', code], check=True,
                   env={**os.environ, 'PYTHONPATH': ':'.join(sys.path)})


def test_figures_of_the_process_where_there_is_no_proc(monkeypatch):
    def fail(*args):
        raise FileNotFoundError

    with monkeypatch.context() as patch:
        patch.setattr(os, 'open', fail)
        patch.setattr(metrics, '_memory_files', {})
        assert metrics.memory_file() is None
    process = psutil.Process()
    expected = process.memory_info().rss, process.num_fds()
    monkeypatch.setattr(metrics, 'memory_file', lambda: None)
    monkeypatch.setattr(metrics.lockedcalls, 'size_of', fail)
    assert abs(metrics.memory_bytes()[0] - expected[0]) < 2 ** 22
    assert metrics.open_descriptors() == expected[1]


def test_labels_cannot_be_broken_out_of():
    page = metrics.Page()
    page.add('name', 'gauge', 'Some.', [({'path': 'a"} 7\nb\\\udcff'}, 1)])
    assert page.text() == ('# HELP name Some.\n# TYPE name gauge\n'
                           r'name{path="a\"} 7\nb\\?"} 1' '\n')


# What clients of the listener may send.

@pytest.fixture
def listener():
    """A listener whose text is short."""
    made = metricsserver.MetricsServer(('127.0.0.1', 0), lambda: 'up 1\n')
    yield '{}:{}'.format(*made.address)
    made.close()
    made.close()
    assert not made._thread.is_alive()


@pytest.mark.parametrize('request_text, status', [
    (b'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n', 200),
    (b'GET /metrics?name[]=up HTTP/1.0\r\n\r\n', 200),
    (b'GET /metrics HTTP/1.1\n\n', 200),
    (b'GET / HTTP/1.1\r\n\r\n', 404),
    (b'GET /metrics/ HTTP/1.1\r\n\r\n', 404),
    (b'POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello', 405),
    (b'HEAD /metrics HTTP/1.1\r\n\r\n', 405),
    # The answer does not wait for the end of what is no head.
    (b'status\n', 400),
    (b'\x16\x03\x01\n', 400),
    (b'GET /metrics HTTP/2\r\n', 400),
    (b'GET /metrics HTTP/1.1\r\n' + b'x' * 9000, 400),
])
def test_requests(listener, request_text, status):
    answer = exchange(listener, request_text)
    assert int(answer.split()[1]) == status
    assert answer.count(b'HTTP/1.1') == 1
    assert b'\r\nConnection: close\r\n' in answer
    if status == 200:
        assert answer.endswith(b'\r\n\r\nup 1\n')


def test_a_request_in_pieces(listener):
    host, port = listener.split(':')
    with socket.create_connection((host, int(port)), 10) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b'GET /metrics HTTP/1.1\r\n\r\n':
            client.sendall(bytes([byte]))
        assert client.makefile('rb').read().endswith(b'up 1\n')


def test_clients_that_say_nothing_keep_nobody_out(listener):
    host, port = listener.split(':')
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(
            socket.create_connection((host, int(port)), 10))
            for _ in range(3 * metricsserver.MAX_CLIENTS)]
        for _ in range(2 * metricsserver.MAX_CLIENTS):
            assert exchange(
                listener, b'GET /metrics HTTP/1.1\r\n\r\n').endswith(b'up 1\n')
        # The first have made room.
        assert silent[0].recv(1) == b''


def test_a_client_has_a_limited_time(listener, monkeypatch):
    monkeypatch.setattr(metricsserver, 'TIMEOUT_S', 0.2)
    host, port = listener.split(':')
    with socket.create_connection((host, int(port)), 10) as client:
        client.sendall(b'GET /metr')
        assert client.recv(1) == b''


def test_a_client_that_sends_too_much_is_dropped_when_it_goes():
    made = metricsserver.MetricsServer(('127.0.0.1', 0), lambda: 'up 1\n')
    try:
        with socket.create_connection(made.address, 10) as client:
            client.sendall(b'GET /metrics HTTP/1.1\r\n\r\n'.ljust(
                metricsserver.HEAD_BYTES * 3 // 2, b'x'))
            assert client.makefile('rb').read().endswith(b'up 1\n')
        began = time.monotonic()
        wait_for(lambda: not made._clients)
        assert time.monotonic() - began < metricsserver.TIMEOUT_S / 2
    finally:
        made.close()


def test_a_large_text_for_a_client_that_reads_late():
    text = 'a_name 1\n' * 2_000_000
    made = metricsserver.MetricsServer(('127.0.0.1', 0), lambda: text)
    try:
        with socket.create_connection(made.address, 10) as client:
            client.sendall(b'GET /metrics HTTP/1.1\r\n\r\n')
            # Another is answered meanwhile.
            assert exchange('{}:{}'.format(*made.address),
                            b'GET / HTTP/1.1\r\n\r\n').startswith(
                                b'HTTP/1.1 404')
            answer = client.makefile('rb').read()
        assert answer.partition(b'\r\n\r\n')[2] == text.encode()
    finally:
        made.close()


def test_a_text_that_fails_is_an_answer(caplog):
    made = metricsserver.MetricsServer(('127.0.0.1', 0), lambda: 1 // 0)
    try:
        for _ in range(2):
            answer = exchange('{}:{}'.format(*made.address),
                              b'GET /metrics HTTP/1.1\r\n\r\n')
            assert answer.startswith(b'HTTP/1.1 500')
        assert 'there are no metrics' in caplog.text
    finally:
        made.close()


def test_an_address_in_use(listener):
    host, port = listener.split(':')
    with pytest.raises(metricsserver.ListenError, match=re.escape(
            f"option 'metrics': cannot listen on {listener}: Address already"
            " in use")):
        metricsserver.MetricsServer((host, int(port)), str)


def test_metrics_while_all_threads_are_busy(embedded, embedded_tree):
    passes, entered = threading.Event(), threading.Semaphore(0)

    def waiting(environ, start_response):
        entered.release()
        passes.wait(60)
        return application(environ, start_response)

    with measured(embedded, embedded_tree, waiting, threads='4') as (
            address, where), ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(get, address, timeout=60) for _ in range(6)]
        for _ in range(4):
            assert entered.acquire(timeout=30)
        name = 'zkzopeserver_requests_queued', ''
        wait_for(lambda: scrape(where)[name] == 2)
        found = scrape(where)
        assert found['zkzopeserver_threads', ''] == 4
        assert found['zkzopeserver_threads_busy', ''] == 4
        assert found['zkzopeserver_requests_in_flight', ''] == 6
        passes.set()
        assert all(answer.result()[0] == 200 for answer in answers)


# The application's own.

def test_what_the_application_counts_is_there_too(embedded, embedded_tree):
    counter = prometheus_client.Counter('shop_orders', 'Orders.')
    try:
        counter.inc(3)
        with measured(embedded, embedded_tree) as (address, where):
            found = scrape(where)
            assert found['shop_orders_total', ''] == 3
            text = exchange(where, b'GET /metrics HTTP/1.1\r\n\r\n')
            # Each once: the library's own win.
            assert text.count(b'# TYPE process_open_fds ') == 1
            assert text.count(b'# TYPE zkzopeserver_threads ') == 1
    finally:
        prometheus_client.REGISTRY.unregister(counter)


def test_the_application_has_metrics_that_fail(monkeypatch, caplog):
    class Library:
        @staticmethod
        def generate_latest():
            raise RuntimeError('as the test asks for it')

    monkeypatch.setitem(sys.modules, 'prometheus_client', Library)
    assert metrics.application_text() == ''
    assert 'its prometheus_client has failed' in caplog.text
