"""The adapters for requests, httpx and urllib3, on real servers."""
import ast
import asyncio
import collections
import concurrent.futures
import contextlib
import gc
import os
import socket
import ssl
import threading
import time

import httpx
import psutil
import pytest
import requests
import urllib3
import zc.zk.balancing.httpx
import zc.zk.balancing.requests
import zc.zk.balancing.urllib3
from urllib3.util import Timeout
from zc.zk.balancing import Balancer
from zc.zk.balancing import NoServers
from zc.zk.balancing import candidates
from zc.zk.balancing.attempts import CONNECT_S
from zc.zk.balancing.attempts import Attempts
from zc.zk.balancing.attempts import Failure
from zc.zk.balancing.urllib3 import Timeouts
from zc.zk.testing.waiting import wait_for
from zc_zk_support.httpserver import Starter
from zc_zk_support.httpserver import http_servers
from zc_zk_support.httpserver import trusting

PATH = '/service/providers'

# For requests whose time is not what a test is about: a busy machine answers
# 64 of them at once late.
ANSWER_S = 240


class RequestsClient:
    """`requests`, with the adapter."""

    error = requests.RequestException

    def __init__(self, balancer, host=None, verify=None):
        self.session = requests.Session()
        self.adapter = zc.zk.balancing.requests.Adapter(balancer, host)
        for scheme in 'http', 'https':
            self.session.mount(f'{scheme}://cms', self.adapter)
        # A variable of the environment must not say whom to trust.
        self.session.trust_env = False
        if verify:
            self.session.verify = verify

    def __call__(self, method, path='/', body=None, scheme='http', **options):
        response = self.session.request(
            method, f'{scheme}://cms{path}', data=body,
            allow_redirects=False, **options)
        assert response.url == f'{scheme}://cms{path}'
        return response.status_code, response.text, response.server

    def close(self):
        self.session.close()


class HttpxClient:
    """`httpx`, with the transport."""

    error = httpx.HTTPError

    def __init__(self, balancer, host=None, verify=None):
        options = {'verify': trusting(verify)} if verify else {}
        self.adapter = zc.zk.balancing.httpx.Transport(
            balancer, host, **options)
        self.client = httpx.Client(mounts={
            'http://cms': self.adapter, 'https://cms': self.adapter},
            timeout=ANSWER_S)

    def __call__(self, method, path='/', body=None, scheme='http', **options):
        response = self.client.request(
            method, f'{scheme}://cms{path}', content=body, **options)
        assert str(response.url) == f'{scheme}://cms{path}'
        return response.status_code, response.text, (
            response.extensions['server'])

    def close(self):
        self.client.close()


class AsyncClient:
    """`httpx.AsyncClient`, with its transport, in a loop of its own."""

    error = httpx.HTTPError

    def __init__(self, balancer, host=None, verify=None):
        options = {'verify': trusting(verify)} if verify else {}
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.adapter = zc.zk.balancing.httpx.AsyncTransport(
            balancer, host, **options)
        self.client = httpx.AsyncClient(mounts={
            'http://cms': self.adapter, 'https://cms': self.adapter},
            timeout=ANSWER_S)

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(
            coroutine, self.loop).result(ANSWER_S)

    def __call__(self, method, path='/', body=None, scheme='http', **options):
        if body is not None and not isinstance(body, bytes):
            body = stream(body)
        response = self.run(self.client.request(
            method, f'{scheme}://cms{path}', content=body, **options))
        assert str(response.url) == f'{scheme}://cms{path}'
        return response.status_code, response.text, (
            response.extensions['server'])

    def close(self):
        self.run(self.client.aclose())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


async def stream(parts):
    """A body that cannot be sent again."""
    for part in parts:
        yield part


class Urllib3Client:
    """`urllib3`, with the pool."""

    error = urllib3.exceptions.HTTPError

    def __init__(self, balancer, host=None, verify=None):
        options = {'ca_certs': verify} if verify else {}
        self.adapter = zc.zk.balancing.urllib3.Pool(
            balancer, host, **options)

    def __call__(self, method, path='/', body=None, scheme='http', **options):
        response = self.adapter.request(
            method, f'{scheme}://cms{path}', body=body, **options)
        return response.status, response.data.decode(), response.server

    def close(self):
        self.adapter.clear()


CLIENTS = RequestsClient, HttpxClient, AsyncClient, Urllib3Client


class Service:
    """Running servers, registered, and clients of them."""

    def __init__(self, zk, servers, fault):
        self.zk = zk
        self.servers = servers
        self.fault = fault
        self.registrations = {
            each.address: zk.register(PATH, each.address)
            for each in servers}
        self.clients = []

    def client(self, kind, host=None, verify=None, **options):
        """A client with a balancer of its own."""
        balancer = Balancer(self.zk, PATH, **options)
        wait_for(lambda: len(balancer.servers) == len(self.servers), 10,
                 'all servers')
        self.clients.append(kind(balancer, host, verify))
        self.clients[-1].balancer = balancer
        return self.clients[-1]

    def close(self):
        for each in self.clients:
            each.close()


@pytest.fixture(autouse=True)
def no_slow_servers(monkeypatch):
    """Use all servers, also where a busy machine makes some slow."""
    monkeypatch.setattr(candidates, 'SLOW', float('inf'))


@pytest.fixture(scope='module')
def embedded():
    """A connection to an embedded ZooKeeper: this is about HTTP."""
    import zc.zk.embedded
    with zc.zk.embedded.Server(max_session_timeout=60_000) as server, \
            zc.zk.ZooKeeper(server.connection_string, 30) as zk:
        yield zk


@pytest.fixture(scope='module')
def starter():
    """The process that starts servers."""
    with contextlib.closing(Starter()) as made:
        yield made


@pytest.fixture
def service(embedded, starter, tmp_path):
    """Three servers."""
    embedded.import_tree('/service\n  /providers\n', trim=False)
    with http_servers(starter, tmp_path, 3) as servers:
        made = Service(embedded, servers, tmp_path / 'fault')
        yield made
        made.close()
        for registration in made.registrations.values():
            registration.withdraw()


@pytest.fixture(params=CLIENTS, ids=[kind.__name__ for kind in CLIENTS])
def kind(request):
    """A class of clients, each in turn."""
    return request.param


def loads(client):
    """The numbers of requests under way."""
    return [each.load for each
            in client.balancer._candidates._by_name.values()]


def test_all_servers_are_used_and_told(service, kind):
    client = service.client(kind)
    seen = collections.Counter()
    for _ in range(60):
        status, text, server = client('GET')
        pid, host, method, *_ = text.split(' ')
        assert (status, host, method) == (200, 'cms', 'GET')
        assert server.address in service.registrations
        seen[pid] += 1
    assert len(seen) == 3
    assert loads(client) == [0, 0, 0]


def test_connections_are_kept(service, kind):
    client = service.client(kind)
    ports = {client('GET')[1].split(' ')[-1] for _ in range(60)}
    assert len(ports) == 3


def test_the_host_can_be_given(service, kind):
    client = service.client(kind, 'www.example.com')
    assert client('GET')[1].split(' ')[1] == 'www.example.com'


def test_answers_are_the_application_s_business(service, kind):
    client = service.client(kind)
    assert {client('GET', '/503')[0] for _ in range(10)} == {503}
    assert {client('GET', '/away')[0] for _ in range(10)} == {302}
    assert all(each.rest_s == 0 for each
               in client.balancer._candidates._by_name.values())


@pytest.mark.parametrize('method, body', [
    ('GET', None), ('PUT', b'x'), ('POST', b'x'), ('DELETE', None)])
def test_a_failed_connect_is_tried_elsewhere(service, kind, method, body):
    """Nothing was sent: any method may be."""
    client = service.client(kind)
    service.servers[0].kill()
    service.servers[1].kill()
    for _ in range(20):
        status, text, server = client(method, '/', body)
        assert status == 200
        assert text.split(' ')[2:4] == [method, 'x' if body else '']
        assert server.address == service.servers[2].address
    assert loads(client) == [0, 0, 0]


def test_a_broken_connection_is_repeated_where_that_is_safe(service, kind):
    client = service.client(kind)
    for method, body in (('GET', None), ('PUT', b'x'), ('DELETE', None)):
        service.fault.touch()
        status, text, _ = client(method, '/break', body)
        assert not service.fault.exists()
        assert (status, text.split(' ')[2]) == (200, method)
    assert loads(client) == [0, 0, 0]


def test_a_broken_connection_is_not_repeated_with_post(service, kind):
    client = service.client(kind)
    service.fault.touch()
    with pytest.raises(client.error):
        client('POST', '/break', b'x')
    assert not service.fault.exists()
    assert client('POST', '/break', b'x')[0] == 200


def test_a_failed_connect_has_read_nothing_of_a_body(service, kind):
    client = service.client(kind)
    service.servers[0].kill()
    service.servers[1].kill()
    for _ in range(10):
        assert client('POST', '/', iter([b'x', b'y', b'z']))[1].split(
            ' ')[3] == 'xyz'
    assert loads(client) == [0, 0, 0]


def test_a_machine_that_does_not_answer(service, kind):
    """There is time for another one within the caller's time-out."""
    with socket.create_server(('127.0.0.1', 0), backlog=0) as silent, \
            contextlib.ExitStack() as stack:
        # Its queue is full: the kernel drops further connects.
        for _ in range(2):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(silent.getsockname())
        client = service.client(kind)
        address = '127.0.0.1:{1}'.format(*silent.getsockname())
        service.registrations[address] = service.zk.register(PATH, address)
        wait_for(lambda: client.balancer.count == 4, 10, 'the fourth')
        candidate = client.balancer._candidates._by_name[address]
        while not candidate.rest_s:
            start = time.monotonic()
            assert client('POST', '/', b'x', timeout=3)[0] == 200
            assert time.monotonic() - start < 3
        assert loads(client) == [0, 0, 0, 0]


def test_a_body_that_is_read_once_is_not_repeated(service, kind):
    client = service.client(kind)
    service.fault.touch()
    with pytest.raises(client.error):
        client('PUT', '/break', iter([b'x', b'y']))
    assert client('PUT', '/', iter([b'x', b'y']))[0] == 200


def test_without_any_server(service, kind):
    client = service.client(kind, wait=0.1)
    for each in service.registrations.values():
        each.withdraw(mark=True)
    wait_for(lambda: not client.balancer._candidates, 30, 'all to leave')
    with pytest.raises(client.error) as caught:
        client('GET')
    assert isinstance(caught.value, NoServers)
    assert isinstance(caught.value, ConnectionError)
    assert f'{PATH} has no servers' in str(caught.value)


def test_when_all_servers_are_dead(service, kind):
    client = service.client(kind)
    for each in service.servers:
        each.kill()
    start = time.monotonic()
    with pytest.raises(client.error) as caught:
        client('GET')
    assert not isinstance(caught.value, NoServers)
    assert time.monotonic() - start < 10
    assert loads(client) == [0, 0, 0]


def test_the_time_for_connecting_is_that_of_all_attempts(service):
    """Nobody waits for three time-outs."""
    balancer = service.client(RequestsClient).balancer
    attempts = Attempts(balancer, 'GET', True, 60)
    assert 50 < attempts.rest_s <= 60
    refused = attempts.again(attempts.first(), ConnectionRefusedError(),
                             Failure.CONNECT)
    second = attempts.again(refused, OSError(), Failure.CONNECT)
    assert second.server.name not in attempts.tried
    second.done()
    over = Attempts(balancer, 'GET', True, 0)
    assert over.again(over.first(), OSError(), Failure.CONNECT) is None
    assert over.connect_s > 0
    without = Attempts(balancer, 'GET', True)
    assert without.rest_s is None
    assert without.connect_s == CONNECT_S


def test_each_attempt_has_its_share_of_the_time(service):
    balancer = service.client(RequestsClient).balancer
    attempts = Attempts(balancer, 'GET', True, 60)
    without = Attempts(balancer, 'GET', True)
    for least in 19, 29, 59:
        assert least < attempts.connect_s <= least + 1
        for each in attempts, without:
            each.again(each.first(), TimeoutError(), Failure.CONNECT)
    # The last one has no other to leave time for.
    assert without.connect_s is None
    # Nor has an only one.
    for each in service.servers[:2]:
        service.registrations[each.address].withdraw(mark=True)
    wait_for(lambda: balancer.count == 1, 30, 'the leave')
    assert 59 < Attempts(balancer, 'GET', True, 60).connect_s <= 60
    assert Attempts(balancer, 'GET', True).connect_s is None


def test_an_answer_that_comes_too_late_is_not_asked_for_again(service, kind):
    client = service.client(kind)
    with pytest.raises(client.error):
        client('GET', '/slow2', timeout=0.2)
    assert loads(client) == [0, 0, 0]


@pytest.mark.parametrize('timeout', [
    Timeout(total=0.2), Timeout(0.2), Timeout(connect=5, read=0.2, total=9)])
def test_time_outs_of_urllib3(service, timeout):
    for kind in RequestsClient, Urllib3Client:
        client = service.client(kind)
        assert client('GET', timeout=timeout.clone())[0] == 200
        with pytest.raises(client.error):
            client('GET', '/slow2', timeout=timeout.clone())
        assert loads(client) == [0, 0, 0]


def test_a_total_is_that_of_all_attempts(service):
    client = service.client(Urllib3Client)
    timeouts = Timeouts(Timeout(total=60, read=50))
    attempts = Attempts(client.balancer, 'GET', True, timeouts.connect_s)
    assert 19 < timeouts.of(attempts).connect_timeout <= 20
    timeouts._deadline = time.monotonic() + 10
    assert 9 < timeouts.of(attempts).total <= 10
    assert timeouts.of(attempts)._read == 50
    timeouts._deadline = 0
    assert timeouts.of(attempts).total > 0


def test_a_server_rests_after_a_failure_but_not_after_a_time_out(service,
                                                                 kind):
    client = service.client(kind)
    # There are connections to all: none fails for being made too late.
    connected = set()
    while len(connected) < 3:
        connected.add(client('GET')[2].address)
    with pytest.raises(client.error):
        client('GET', '/slow2', timeout=0.2)
    every = client.balancer._candidates._by_name.values()
    assert [each.rest_s for each in every] == [0, 0, 0]
    service.fault.touch()
    client('GET', '/break')
    assert sum(each.rest_s > 0 for each in every) == 1


def test_a_slow_server_gets_little(service, kind):
    client = service.client(kind)
    slow = service.servers[0].address
    client.balancer._candidates._by_name[slow].load += 20
    seen = collections.Counter(
        client('GET')[2].name for _ in range(90))
    assert seen[slow] < 20


def test_idle_connections_of_a_server_that_left_are_closed(service, kind):
    client = service.client(kind)
    before = {}
    for _ in range(60):
        _, text, server = client('GET')
        before[server.address] = text.split(' ')[-1]
    gone = service.servers[0].address
    service.registrations[gone].withdraw()
    wait_for(lambda: gone not in {
        client('GET')[2].address for _ in range(20)}, 30, 'the leave')
    service.registrations[gone] = service.zk.register(PATH, gone)
    wait_for(lambda: gone in {
        client('GET')[2].address for _ in range(20)}, 10, 'the return')
    after = {}
    for _ in range(60):
        _, text, server = client('GET')
        after[server.address] = text.split(' ')[-1]
    assert after[gone] != before[gone]
    assert all(after[address] == before[address] for address in after
               if address != gone)


def test_a_server_that_leaves_during_a_request_is_forgotten(service, kind):
    """Servers come and go for years, each with a port of its own."""
    client = service.client(kind)
    for _ in range(30):
        client('GET')
    address, registration = next(iter(service.registrations.items()))
    left = []
    with concurrent.futures.ThreadPoolExecutor() as executor:
        futures = [executor.submit(client, 'GET', '/slow0.5')
                   for _ in range(12)]
        wait_for(lambda: all(loads(client)), 10, 'the requests')
        client.balancer.on_leave(left.append)
        registration.withdraw()
        wait_for(lambda: left, 30, 'the leave')
        assert {future.result()[0] for future in futures} == {200}
    assert [server.address for server in left] == [address] * 2
    for _ in range(10):
        client('GET')
    if kind in (HttpxClient, AsyncClient):
        kept = [f'{host}:{port}' for host, port in client.adapter._inner]
    elif kind is RequestsClient:
        kept = [f'{key[0]}:{key[1]}' for key in client.adapter._pools]
        assert len(client.adapter.poolmanager.pools) == 2
    else:
        kept = [f'{key.key_host}:{key.key_port}'
                for key in client.adapter.pools.keys()]
    assert sorted(kept) == sorted(set(service.registrations) - {address})


def test_connections_are_closed_with_the_client(service, kind):
    client = service.client(kind)
    for _ in range(30):
        client('GET')
    before = open_sockets(service)
    assert before
    client.close()
    service.clients.clear()
    wait_for(lambda: not open_sockets(service) & before, 10, 'the end')


def open_sockets(service):
    """The connections of this process to the servers."""
    ports = {int(address.rpartition(':')[2])
             for address in service.registrations}
    return {each.laddr.port
            for each in psutil.Process().net_connections('tcp')
            if each.raddr and each.raddr.port in ports}


def test_no_more_pools_than_wanted(service):
    for wanted in 1, 2:
        client = service.client(RequestsClient)
        client.session.mount('http://cms', zc.zk.balancing.requests.Adapter(
            client.balancer, pool_connections=wanted))
        adapter = client.session.get_adapter('http://cms')
        for _ in range(30):
            client('GET')
        assert len(adapter._pools) == wanted
        assert len(adapter.poolmanager.pools) == wanted


@pytest.mark.parametrize('kind', [RequestsClient, HttpxClient, Urllib3Client])
def test_a_child_process_has_connections_of_its_own(service, kind):
    client = service.client(kind)
    before = {client('GET')[1].split(' ')[-1] for _ in range(30)}
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            found = {client('GET')[1].split(' ')[-1] for _ in range(30)}
            os.write(writing, repr(found).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, 'rb') as file:
        found = ast.literal_eval(file.read().decode())
    os.waitpid(pid, 0)
    assert len(found) == 3
    assert not found & before
    # The parent's are as they were.
    assert {client('GET')[1].split(' ')[-1] for _ in range(30)} == before


@pytest.mark.parametrize('kind', [RequestsClient, HttpxClient])
def test_proxies_of_the_environment_are_not_used(service, kind, monkeypatch):
    for name in 'http_proxy', 'https_proxy', 'all_proxy':
        monkeypatch.setenv(name, 'http://user:pw@127.0.0.1:9')
        monkeypatch.setenv(name.upper(), 'http://user:pw@127.0.0.1:9')
    client = service.client(kind)
    if kind is RequestsClient:
        client.session.trust_env = True
    assert client('GET')[0] == 200


def test_redirects_within_the_service(service):
    client = service.client(RequestsClient)
    for stream in False, True:
        response = client.session.post('http://cms/again', data=b'x',
                                       stream=stream)
        assert response.url == 'http://cms/'
        assert response.text.split(' ')[1:3] == ['cms', 'GET']
        assert response.history[0].server.address in service.registrations
        assert loads(client) == [0, 0, 0]
    client = service.client(HttpxClient)
    response = client.client.get('http://cms/again', follow_redirects=True)
    assert str(response.url) == 'http://cms/'
    assert loads(client) == [0, 0, 0]


def test_tasks_are_cancelled(service):
    client = service.client(AsyncClient, wait=30)

    async def cancelled(path, count):
        tasks = [asyncio.create_task(client.client.get(f'http://cms{path}'))
                 for _ in range(count)]
        await asyncio.sleep(0.2)
        for task in tasks:
            task.cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    async def streamed():
        async with client.client.stream('GET', 'http://cms/') as response:
            assert response.status_code == 200
            await asyncio.sleep(30)

    found = client.run(cancelled('/slow5', 20))
    assert all(isinstance(each, asyncio.CancelledError) for each in found)
    assert loads(client) == [0, 0, 0]
    assert set(client.adapter._loads.values()) <= {0}
    # Before Python 3.11 it is not the TimeoutError of Python itself.
    with pytest.raises(asyncio.TimeoutError):
        client.run(asyncio.wait_for(streamed(), 0.5))
    assert loads(client) == [0, 0, 0]
    assert {client('GET')[0] for _ in range(30)} == {200}
    # And while there is no server at all.
    for each in service.registrations.values():
        each.withdraw(mark=True)
    wait_for(lambda: not client.balancer.count, 30, 'all to leave')
    found = client.run(cancelled('/', 5))
    assert all(isinstance(each, asyncio.CancelledError) for each in found)


def test_64_threads(service, kind):
    client = service.client(kind)
    failures = []

    def run():
        for number in range(8):
            try:
                client('GET' if number % 2 else 'POST', '/',
                       None if number % 2 else b'x')
            except client.error as error:
                failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert loads(client) == [0, 0, 0]


@pytest.mark.parametrize('kind', [
    zc.zk.balancing.httpx.Transport, zc.zk.balancing.httpx.AsyncTransport])
def test_wrong_options_of_httpx(service, kind):
    balancer = service.client(HttpxClient).balancer
    with pytest.raises(TypeError, match='nonsense'):
        kind(balancer, nonsense=1)
    with pytest.raises(TypeError, match='the balancer retries'):
        kind(balancer, retries=1)


@pytest.mark.parametrize('verify', [True, False])
def test_one_context_for_all_servers_of_httpx(service, verify):
    client = service.client(HttpxClient)
    transport = zc.zk.balancing.httpx.Transport(client.balancer,
                                                verify=verify)
    context = transport._options['verify']
    assert (context.verify_mode is ssl.CERT_REQUIRED) == verify


def test_servers_are_killed_under_load(service, kind):
    """What was sent by POST may be lost; nothing else is."""
    client = service.client(kind)
    failures = []
    stop = threading.Event()

    def load(method):
        while not stop.is_set():
            try:
                assert client(method, '/', None if method == 'GET'
                              else b'x')[0] == 200
            except client.error as error:
                failures.append((method, error))

    threads = [threading.Thread(target=load, args=(method,))
               for method in ('GET', 'GET', 'PUT', 'POST')]
    for thread in threads:
        thread.start()
    for each in service.servers[:2]:
        for _ in range(30):
            client('GET')
        each.kill()
    for _ in range(30):
        client('GET')
    stop.set()
    for thread in threads:
        thread.join()
    assert [each for each in failures if each[0] != 'POST'] == []
    assert len(failures) <= 2   # the POSTs in flight at the two kills


def test_tls(embedded, starter, tmp_path, certificate, kind):
    """The certificate is for the service's name, not for the address."""
    embedded.import_tree('/service\n  /providers\n', trim=False)
    with http_servers(starter, tmp_path, 1, *map(str, certificate)) as servers:
        service = Service(embedded, servers, tmp_path / 'fault')
        try:
            client = service.client(kind, 'localhost', str(certificate[0]))
            status, text, _ = client('GET', scheme='https')
            assert (status, text.split(' ')[1]) == (200, 'localhost')
            wrong = service.client(kind, 'www.example.com',
                                   str(certificate[0]))
            with pytest.raises(wrong.error, match='(?i)certificate|match'):
                wrong('GET', scheme='https')
        finally:
            service.close()
            for registration in service.registrations.values():
                registration.withdraw()


def test_a_streamed_response_counts_until_it_is_closed(service):
    client = service.client(RequestsClient)
    response = client.session.get('http://cms/', stream=True)
    assert sorted(loads(client)) == [0, 0, 1]
    # Read, also if it is kept; closed; dropped.
    assert response.content
    assert sorted(loads(client)) == [0, 0, 0]
    with client.session.get('http://cms/', stream=True):
        assert sorted(loads(client)) == [0, 0, 1]
    assert sorted(loads(client)) == [0, 0, 0]
    client.session.get('http://cms/', stream=True)
    wait_for(lambda: sorted(loads(client)) == [0, 0, 0], 10, 'the end')
    client = service.client(HttpxClient)
    with client.client.stream('GET', 'http://cms/'):
        assert sorted(loads(client)) == [0, 0, 1]
    assert sorted(loads(client)) == [0, 0, 0]
    client.client.send(client.client.build_request('GET', 'http://cms/'),
                       stream=True)
    wait_for(lambda: gc.collect() and False or (
        sorted(loads(client)) == [0, 0, 0]), 10, 'the end')
    client = service.client(Urllib3Client)
    response = client.adapter.request('GET', 'http://cms/',
                                      preload_content=False)
    assert sorted(loads(client)) == [0, 0, 1]
    response.drain_conn()
    assert sorted(loads(client)) == [0, 0, 0]
    response = client.adapter.request('GET', 'http://cms/',
                                      preload_content=False)
    response.close()
    assert sorted(loads(client)) == [0, 0, 0]
    client.adapter.request('GET', 'http://cms/', preload_content=False)
    wait_for(lambda: sorted(loads(client)) == [0, 0, 0], 10, 'the end')


def test_cookies_are_of_the_service(service):
    client = service.client(RequestsClient)
    client('GET')
    assert [cookie.domain for cookie in client.session.cookies] == [
        'cms.local']


@pytest.mark.parametrize('make, words', [
    (lambda balancer: zc.zk.balancing.requests.Adapter(
        balancer, max_retries=3), 'max_retries'),
    (lambda balancer: zc.zk.balancing.httpx.Transport(
        balancer, retries=3), 'retries'),
])
def test_retries_are_the_balancer_s(service, make, words):
    with pytest.raises(TypeError, match=words):
        make(service.client(RequestsClient).balancer)
