"""Each proxy, started, told, restarted: it serves by what ZooKeeper has."""
import pytest
import zc.zk
from zc.zk.testing.waiting import wait_for
from zc_zk_support.following import Follower
from zc_zk_support.proxies import PROXIES
from zc_zk_support.proxies import Backend
from zc_zk_support.proxies import Caddy
from zc_zk_support.proxies import NewNginx
from zc_zk_support.proxies import follow_arguments

PATH = '/cms/providers'
SUBJECTS = [*PROXIES.items(), ('nginx', NewNginx)]


@pytest.fixture
def zk(zookeeper):
    with zc.zk.ZooKeeper(zookeeper.connection_string, 5.) as zk:
        zk.client.ensure_path(PATH)
        yield zk


@pytest.fixture
def servers():
    servers = [Backend() for _ in range(3)]
    yield servers
    for server in servers:
        server.close()


@pytest.mark.parametrize('format, kind', SUBJECTS, ids=[
    kind.__name__ for _, kind in SUBJECTS])
def test_traffic_follows_the_tree(zookeeper, zk, servers, tmp_path, format,
                                  kind):
    proxy = kind(tmp_path / 'proxy')
    proxy.configure()
    registrations = [zk.register(PATH, server.name)
                     for server in servers[:2]]
    zk.create(PATH + '/evil; } server { listen 1;')
    arguments = (zookeeper.connection_string, PATH,
                 *follow_arguments(format, proxy), '--interval', '.1')
    follower = Follower(tmp_path, *arguments)
    try:
        wait_for(lambda: proxy.file.exists()
                 and str(servers[1].port) in proxy.file.read_text(),
                 message=follower.log)
        proxy.start()

        def has(*expected):
            ports = {server.port for server in expected}
            wait_for(lambda: proxy.ports(20) == ports, message=lambda: (
                f'{follower.log()}\n{proxy.log()}'))

        has(servers[0], servers[1])
        zk.register(PATH, servers[2].name)
        has(*servers)
        registrations[0].withdraw()
        has(servers[1], servers[2])
        # The follower ends, and another one finds all as it is.
        assert follower.stop() == 0
        registrations[0].restore()
        follower = Follower(tmp_path, *arguments)
        has(*servers)
        # The proxy is restarted.
        proxy.stop()
        proxy.start()
        has(*servers)
        assert follower.stop() == 0
        assert 'Traceback' not in follower.log()
    finally:
        follower.kill()
        proxy.stop()


def test_caddy_that_does_not_know_the_service(zookeeper, zk, servers,
                                              tmp_path):
    proxy = Caddy(tmp_path / 'proxy')
    proxy.start()
    zk.register('/cms/providers', servers[0].name)
    follower = Follower(
        tmp_path, zookeeper.connection_string, 'other=' + PATH,
        *follow_arguments('caddy', proxy))
    try:
        follower.wait_for_log('ERROR caddy: GET http://')
        follower.wait_for_log('other/upstreams: 404')
        assert follower.stop() == 0
    finally:
        follower.kill()
        proxy.stop()
