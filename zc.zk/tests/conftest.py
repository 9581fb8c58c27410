"""Fixtures that tests of several modules need."""
import socket

import pytest
import zc.zk
from kazoo.security import READ_ACL_UNSAFE
from zc.zk.connection.requests import Requests
from zc.zk.registration.record import Record
from zc.zk.registration.registrar import Registrar
from zc.zk.testing.ports import free_port
from zc_zk_support.registrations import PATH
from zc_zk_support.tls import Terminator
from zc_zk_support.tls import make_certificate
from zc_zk_support.wire import Wire


@pytest.fixture(scope='session')
def certificate(tmp_path_factory):
    """A certificate for localhost, and its key."""
    return make_certificate(tmp_path_factory.mktemp('tls'))


@pytest.fixture
def tls_port(certificate, zookeeper):
    """The port of a TLS server before ZooKeeper."""
    host, _, port = zookeeper.hosts.partition(':')
    with Terminator((host, int(port)), *certificate) as terminator:
        yield terminator.port


@pytest.fixture
def connect(request):
    """Make ZooKeeper objects on the test's server, closed after the test."""
    made = []

    def connect(session_timeout=5., **options):
        name = next(name for name in ('zookeeper', 'zookeeper_server',
                                      'ensemble')
                    if name in request.fixturenames)
        where = request.getfixturevalue(name)
        made.append(zc.zk.ZooKeeper(where.connection_string,
                                    session_timeout, **options))
        # On a busy machine the session may be suspended, and even expire.
        client = made[-1].client
        if not client.retry(client.exists, '/service'):
            client.retry(client.ensure_path, PATH)
        return made[-1]

    yield connect
    for zk in made:
        zk.close()


@pytest.fixture
def patient(monkeypatch):
    """Give changes 30 s to be done, and not the 1 s of the application."""
    request = Registrar.request
    monkeypatch.setattr(Registrar, 'request', lambda self, record, timeout:
                        request(self, record, 30))


@pytest.fixture
def registrar(zookeeper, client):
    """A registrar on a connection of its own."""
    kazoo = client()
    kazoo.ensure_path(PATH)
    requests = Requests(kazoo)
    registrar = Registrar(kazoo, requests, 5., lambda path: path)
    yield registrar
    registrar.close()
    requests.close()
    registrar.join()


@pytest.fixture
def record():
    """The record of a registration at NODE."""
    return Record(PATH, PATH, ['192.0.2.7:8080'], b'{}', READ_ACL_UNSAFE)


@pytest.fixture
def kazoo(zookeeper, client):
    """A kazoo client of the test's own."""
    return client()


@pytest.fixture
def raw(zookeeper):
    """A session without a client; its `root` is the test's chroot."""
    with Wire(zookeeper.hosts) as connection:
        connection.start()
        connection.root = zookeeper.chroot
        yield connection


@pytest.fixture
def where(zookeeper):
    """Return the connection string, for commands."""
    return zookeeper.connection_string


@pytest.fixture
def file(tmp_path):
    """Return a function that writes a file and returns its path."""
    def make(text, name='tree.txt', mode=0o644):
        path = tmp_path / name
        path.write_text(text, encoding='utf-8')
        path.chmod(mode)
        return str(path)

    return make


@pytest.fixture
def silent():
    """The address of a server that accepts connections and never answers."""
    with socket.create_server(('127.0.0.1', 0)) as server:
        yield f'127.0.0.1:{server.getsockname()[1]}'


@pytest.fixture
def nobody():
    """An address at which no server listens."""
    return f'127.0.0.1:{free_port()}'
