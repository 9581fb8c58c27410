"""Fixtures that several of these tests need."""
import pytest
from zc_zk_support.tls import Terminator
from zc_zk_support.tls import make_certificate


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
