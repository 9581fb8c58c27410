"""zookeeper_follow from the outside: files, ZooKeeper's troubles, proxies."""
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
import zc.zk
from zc.zk.scripts import zookeeper_follow
from zc.zk.testing.ports import free_port
from zc.zk.testing.waiting import wait_for
from zc_zk_support.following import Follower
from zc_zk_support.proxies import Backend
from zc_zk_support.proxies import HAProxy
from zc_zk_support.proxies import Nginx

PATH = '/cms/providers'


@pytest.fixture
def zk(zookeeper):
    with zc.zk.ZooKeeper(zookeeper.connection_string, 5.) as zk:
        zk.client.ensure_path(PATH)
        yield zk


@pytest.fixture
def follow(request, tmp_path):
    """Start followers of the test's ZooKeeper, killed after the test."""
    made = []

    def follow(*arguments, where=None, **environ):
        if where is None:
            where = request.getfixturevalue('zookeeper').connection_string
        made.append(Follower(tmp_path, where, *map(str, arguments),
                             **environ))
        return made[-1]

    yield follow
    for follower in made:
        follower.kill()


@pytest.fixture
def servers():
    servers = [Backend() for _ in range(4)]
    yield servers
    for server in servers:
        server.close()


@pytest.fixture
def output(tmp_path):
    (tmp_path / 'out').mkdir()
    return tmp_path / 'out' / 'cms.json'


def names(output, service='cms'):
    try:
        data = json.loads(output.read_text())
    except FileNotFoundError:
        return None
    return [server['name'] for server in data[service]['servers']]


def json_arguments(output, *arguments):
    return PATH, '--format', 'json', '-o', output, *arguments


def test_a_file_follows(zk, follow, output):
    registration = zk.register(PATH, '127.0.0.1:80', weight=1)
    follower = follow(*json_arguments(output))
    wait_for(lambda: names(output) == ['127.0.0.1:80'])
    zk.register(PATH, '127.0.0.1:81')
    wait_for(lambda: names(output) == ['127.0.0.1:80', '127.0.0.1:81'])
    registration.update(weight=7)
    wait_for(lambda: json.loads(output.read_text())['cms']['servers'][0][
        'properties']['weight'] == 7)
    registration.withdraw()
    wait_for(lambda: names(output) == ['127.0.0.1:81'])
    assert follower.stop() == 0
    log = follower.log()
    assert 'INFO cms: 1 server (+127.0.0.1:80), written in ' in log
    assert 'INFO cms: 1 server (-127.0.0.1:80), written in ' in log
    assert 'INFO cms: 2 servers (other properties), written in ' in log
    assert 'ERROR' not in log


def test_several_services_in_one_file(zk, follow, output):
    zk.client.ensure_path('/a/b')
    zk.create('/links', b'{"web ->": "/a/b"}')
    zk.create('/a/b/127.0.0.1:1')
    zk.create(PATH + '/127.0.0.1:2')
    follow(PATH, 'web=/links/web', '--format', 'json', '-o', output)
    wait_for(lambda: names(output) == ['127.0.0.1:2'])
    assert names(output, 'web') == ['127.0.0.1:1']


def test_nothing_is_written_before_all_is_known(zk, follow, output):
    output.write_text('{"cms": {"servers": [{"name": "old"}]}}')
    follower = follow('/new/providers', *json_arguments(output))
    follower.wait_for_log('the servers at /new/providers are not known yet')
    follower.wait_for_log('cms: no server is left; nothing is written')
    assert names(output) == ['old']
    zk.create(PATH + '/127.0.0.1:1')
    zk.client.ensure_path('/new/providers')
    zk.create('/new/providers/127.0.0.1:2')
    wait_for(lambda: names(output) == ['127.0.0.1:1'])
    assert names(output, 'new') == ['127.0.0.1:2']


def test_without_zookeeper_the_file_stays(zookeeper_server, follow, output):
    output.write_text('{"cms": {"servers": [{"name": "old"}]}}')
    where = zookeeper_server.connection_string
    with zc.zk.ZooKeeper(where, 20.) as zk:
        zk.client.ensure_path(PATH)
        zk.create(PATH + '/127.0.0.1:1')
        zookeeper_server.stop()
        follower = follow(*json_arguments(output), where=where)
        follower.wait_for_log('Waiting for ZooKeeper')
        assert names(output) == ['old']
        zookeeper_server.start()
        wait_for(lambda: names(output) == ['127.0.0.1:1'])
        # And while it is away later, too.
        zookeeper_server.stop()
        wait_for(lambda: not json.loads(output.read_text())['cms'][
            'connected'])
        assert names(output) == ['127.0.0.1:1']
        zookeeper_server.start()
        wait_for(lambda: json.loads(output.read_text())['cms']['connected'])
        # Its session may have expired meanwhile.
        zk.client.retry(zk.client.create, PATH + '/127.0.0.1:2')
        wait_for(lambda: len(names(output)) == 2)
        assert follower.stop() == 0


def test_it_ends_while_it_waits_for_zookeeper(follow, output):
    follower = follow(*json_arguments(output),
                      where=f'127.0.0.1:{free_port()}')
    follower.wait_for_log('Waiting for ZooKeeper')
    assert follower.stop() == 0
    assert 'Traceback' not in follower.log()


def test_the_last_list_stays(zk, follow, output):
    registration = zk.register(PATH, '127.0.0.1:1')
    follower = follow(*json_arguments(output))
    wait_for(lambda: names(output))
    registration.withdraw()
    follower.wait_for_log('ERROR cms: no server is left; the last list stays')
    zk.client.delete(PATH)
    follower.wait_for_log('there is no such node')
    assert names(output) == ['127.0.0.1:1']
    zk.client.ensure_path(PATH)
    zk.create(PATH + '/127.0.0.1:2')
    wait_for(lambda: names(output) == ['127.0.0.1:2'])


def test_the_list_may_be_allowed_to_be_empty(zk, follow, output):
    registration = zk.register(PATH, '127.0.0.1:1')
    follow(*json_arguments(output, '--allow-empty'))
    wait_for(lambda: names(output))
    registration.withdraw()
    wait_for(lambda: names(output) == [])


def test_servers_that_vanish_together_are_held(zk, follow, output, servers):
    registrations = [zk.register(PATH, server.name) for server in servers]
    follower = follow(*json_arguments(output, '--hold-after', '1'))
    wait_for(lambda: len(names(output) or ()) == 4)
    for registration in registrations[:3]:
        registration.withdraw()
    follower.wait_for_log('still accept')
    wait_for(lambda: len(names(output)) == 4)
    # One of them ends.
    servers[0].close()
    wait_for(lambda: len(names(output)) == 3)
    # And one is back in ZooKeeper.
    registrations[1].restore()
    follower.wait_for_log(f'back in ZooKeeper: {servers[1].name}')
    follower.signal(signal.SIGUSR1)
    wait_for(lambda: names(output) == sorted(
        [servers[1].name, servers[3].name]))
    follower.wait_for_log('SIGUSR1: what ZooKeeper has is believed now')


def test_a_follower_that_is_started_while_servers_are_cut_off(
        zk, follow, output, servers):
    registrations = [zk.register(PATH, server.name, weight=number)
                     for number, server in enumerate(servers)]
    arguments = json_arguments(output, '--hold-after', '1')
    follower = follow(*arguments)
    wait_for(lambda: len(names(output) or ()) == 4)
    first = output.read_text()
    memory = output.with_name('.cms.json.follow') / 'memory'
    wait_for(memory.exists)
    # They vanish while no follower is there.
    follower.kill()
    for registration in registrations[:3]:
        registration.withdraw()
    follower = follow(*arguments)
    wait_for(lambda: len(names(output)) == 1)
    wait_for(lambda: len(names(output)) == 4, message=follower.log)
    assert json.loads(output.read_text())['cms']['servers'] == json.loads(
        first)['cms']['servers']
    wait_for(lambda: json.loads(memory.read_text())['services'][PATH][
        'vanished'][servers[0].name][1] is not None)
    # They are held, and used on by the next follower from the beginning.
    follower.kill()
    servers[0].close()
    follower = follow(*arguments)
    follower.wait_for_log('INFO cms: 4 servers')
    wait_for(lambda: len(names(output)) == 3, message=follower.log)
    # What is too old is not believed.
    follower.kill()
    os.utime(memory, (1, 1))
    follow(*arguments)
    wait_for(lambda: names(output) == [servers[3].name])


def test_servers_that_were_withdrawn_on_purpose_are_not_held(
        zk, follow, output, servers):
    registrations = [zk.register(PATH, server.name) for server in servers]
    follower = follow(*json_arguments(output, '--hold-after', '.5'))
    wait_for(lambda: len(names(output) or ()) == 4)
    for registration in registrations[:2]:
        registration.withdraw(mark=True)
    registrations[2].withdraw()
    # The third is put back; it vanished after the others.
    follower.wait_for_log('still accept')
    wait_for(lambda: len(names(output)) == 2)
    assert names(output) == sorted([servers[2].name, servers[3].name])
    # The marks go with the restoration.
    registrations[0].restore()
    wait_for(lambda: len(names(output)) == 3)
    wait_for(lambda: [name for name in zk.get_children('/cms')
                      if name.startswith('withdrawn-')]
             == [f'withdrawn-{servers[1].name}'])


def test_only_servers_with_a_property(zk, follow, output):
    zk.register(PATH, '127.0.0.1:1', rack='A7', on=True)
    zk.register(PATH, '127.0.0.1:2', rack='A8', on=True)
    zk.register(PATH, '127.0.0.1:3', rack='A7', on=1)
    follow(*json_arguments(output, '--where', "rack = 'A7'", '--where',
                           'on=True'))
    wait_for(lambda: names(output) == ['127.0.0.1:1'])


def test_host_names_become_addresses(zk, follow, tmp_path):
    file = tmp_path / 'cms.conf'
    zk.create(PATH + '/localhost:81')
    zk.create(PATH + '/does-not-exist.invalid:82')
    zk.create(PATH + '/127.0.0.1:83')
    follower = follow(PATH, '--format', 'nginx', '-o', file, '--check', '',
                      '--reload', '')
    wait_for(lambda: file.exists() and '127.0.0.1:81;' in file.read_text())
    text = file.read_text()
    assert '127.0.0.1:83;' in text
    assert 'localhost' not in text
    follower.wait_for_log('does-not-exist.invalid does not resolve')
    assert ':82' not in text


def test_metrics_and_targets(zk, follow, output):
    port = free_port()
    follower = follow(*json_arguments(output, '--listen',
                                      f'127.0.0.1:{port}'))
    follower.wait_for_log('cms: no server is left')

    def get(path):
        with urllib.request.urlopen(
                f'http://127.0.0.1:{port}/{path}', timeout=5) as answer:
            return answer.read().decode()

    # Prometheus keeps its targets for an error, and drops them for [].
    with pytest.raises(urllib.error.HTTPError, match='503') as info:
        get('targets')
    info.value.close()
    zk.create(PATH + '/127.0.0.1:1')
    zk.create(PATH + '/evil;')
    wait_for(lambda: names(output))
    wait_for(lambda: 'zookeeper_follow_servers{path="/cms/providers"} 1\n'
             in get('metrics'))
    wait_for(lambda: 'zookeeper_follow_names_refused{path="/cms/providers"} '
             '1\n' in get('metrics'))
    metrics = get('metrics')
    assert 'zookeeper_follow_connected{path="/cms/providers"} 1\n' in metrics
    assert 'zookeeper_follow_held{path="/cms/providers"} 0\n' in metrics
    assert 'zookeeper_follow_reloads_total{result="ok"} 0\n' in metrics
    group, = json.loads(get('targets'))
    assert group['targets'] == ['127.0.0.1:1']
    with pytest.raises(urllib.error.HTTPError, match='404') as info:
        get('x')
    info.value.close()
    # A client that says nothing, or nonsense, harms nobody.
    with socket.create_connection(('127.0.0.1', port)) as idle:
        idle.sendall(b'\0' * 100000)
        assert get('metrics')
    assert follower.stop() == 0
    assert 'Traceback' not in follower.log()


def test_two_followers_of_one_file(zk, follow, output):
    zk.create(PATH + '/127.0.0.1:1')
    follow(*json_arguments(output))
    wait_for(lambda: names(output))
    other = follow(*json_arguments(output))
    assert other.process.wait(30) == 2
    assert 'another zookeeper_follow keeps this file' in other.log()


def run(*arguments):
    return subprocess.run(
        [sys.executable, '-c',
         'from zc.zk.scripts.zookeeper_follow import main; main()',
         *map(str, arguments)],
        env={**os.environ, 'PYTHONPATH': ':'.join(sys.path)},
        capture_output=True, text=True, timeout=60)


def test_once(zk, zookeeper, output):
    zk.create(PATH + '/127.0.0.1:1')
    where = zookeeper.connection_string
    done = run(where, *json_arguments(output, '--once'))
    assert done.returncode == 0, done.stderr
    assert names(output) == ['127.0.0.1:1']
    done = run(where, '/none', '--format', 'json', '-o', output, '--once')
    assert done.returncode == 2
    assert 'there is no node /none' in done.stderr
    assert names(output) == ['127.0.0.1:1']


def test_dry_run(zk, zookeeper, output):
    zk.create(PATH + '/127.0.0.1:1')
    output.write_text('old\n')
    done = run(zookeeper.connection_string,
               *json_arguments(output, '--dry-run'))
    assert done.returncode == 0, done.stderr
    assert '"name": "127.0.0.1:1"' in done.stdout
    assert '\n-old\n' in done.stdout
    assert output.read_text() == 'old\n'
    assert os.listdir(output.parent) == ['cms.json']


@pytest.mark.parametrize('arguments, why', [
    (['x'], 'the path of a node begins with /'),
    (['a b=/x'], 'cannot name a service'),
    (['/a', 'a=/b'], 'two services have one name'),
    (['/'], 'cannot name a service'),
    (['/x', '--options', 'check'], "'check' is no option of json"),
    (['/x', '--socket', 'y'], '--socket is for haproxy and caddy'),
    (['/x', '--interval', 'soon'], 'is not a number of seconds'),
    (['/x', '--where', 'x'], 'is not NAME=LITERAL'),
    (['/x', '--where', 'x=os.system'], 'x=os.system'),
    (['/x', '--listen', ':80'], 'no host name'),
    (['/x', '--reload', '"'], 'is no command'),
])
def test_wrong_options(arguments, why, tmp_path, capfd):
    with pytest.raises(SystemExit) as info:
        zookeeper_follow.main(['127.0.0.1:1', *arguments, '--format', 'json',
                               '-o', str(tmp_path / 'x')])
    assert info.value.code == 2
    assert why in capfd.readouterr().err
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_not_there(tmp_path, capfd):
    with pytest.raises(SystemExit) as info:
        zookeeper_follow.main(['127.0.0.1:1', '/x', '--format', 'json', '-o',
                               str(tmp_path / 'none' / 'x')])
    assert info.value.code == 2
    assert 'No such file' in capfd.readouterr().err


def test_systemd_is_told(zk, follow, output, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / 'notify'))
        manager.settimeout(30)
        follower = follow(*json_arguments(output),
                          NOTIFY_SOCKET=str(tmp_path / 'notify'),
                          WATCHDOG_USEC='1000000', WATCHDOG_PID='')
        assert manager.recv(100) == b'WATCHDOG=1'
        zk.create(PATH + '/127.0.0.1:1')
        while (message := manager.recv(100)) == b'WATCHDOG=1':
            pass
        assert message == b'READY=1'
        assert names(output) == ['127.0.0.1:1']
        assert manager.recv(100) == b'WATCHDOG=1'
        assert follower.stop() == 0
        while (message := manager.recv(100)) == b'WATCHDOG=1':
            pass
        assert message == b'STOPPING=1'


# Real proxies

@pytest.fixture
def nginx(tmp_path):
    proxy = Nginx(tmp_path / 'nginx')
    yield proxy
    proxy.stop()


def follow_nginx(follow, nginx, *arguments):
    return follow(PATH, '--format', 'nginx', '-o', nginx.file, '--check',
                  nginx.check, '--reload', nginx.reload, *arguments)


def test_nginx(zk, follow, nginx, servers):
    registrations = [zk.register(PATH, server.name)
                     for server in servers[:2]]
    follower = follow(PATH, '--format', 'nginx', '-o', nginx.file, '--check',
                      '', '--reload', '', '--once')
    assert follower.process.wait(30) == 0
    nginx.start()
    follower = follow_nginx(follow, nginx, '--interval', '.1')
    registrations[0].withdraw()
    zk.register(PATH, servers[2].name)
    expected = {servers[1].port, servers[2].port}
    wait_for(lambda: nginx.ports(10) == expected, message=follower.log)
    # Somebody breaks another part of the configuration.
    foreign = nginx.folder / 'lists' / 'foreign.conf'
    foreign.write_text('nonsense;')
    zk.register(PATH, servers[3].name)
    follower.wait_for_log('refused, with our old file as well')
    assert servers[3].name in nginx.file.read_text()
    foreign.unlink()
    expected.add(servers[3].port)
    wait_for(lambda: nginx.ports(20) == expected, message=follower.log)
    assert follower.stop() == 0


def test_a_thousand_servers_of_nginx(zk, nginx, follow):
    for start in 0, 500:
        transaction = zk.client.transaction()
        for number in range(start, start + 500):
            transaction.create(f'{PATH}/127.0.{number // 250}.'
                               f'{number % 250 + 1}:9')
        transaction.commit()
    follower = follow(PATH, '--format', 'nginx', '-o', nginx.file, '--check',
                      '', '--reload', '', '--once')
    assert follower.process.wait(60) == 0
    nginx.start()
    assert nginx.file.read_text().count('server 127.0.') == 1000


@pytest.fixture
def haproxy(tmp_path):
    proxy = HAProxy(tmp_path / 'haproxy')
    proxy.start()
    yield proxy
    proxy.stop()


def follow_haproxy(follow, haproxy, *arguments):
    return follow(PATH, '--format', 'haproxy', '-o', haproxy.file, '--check',
                  haproxy.check, '--reload', haproxy.reload, *arguments)


def test_haproxy_by_its_socket(zk, follow, haproxy, servers):
    registrations = [zk.register(PATH, server.name)
                     for server in servers[:2]]
    follower = follow_haproxy(follow, haproxy, '--socket', haproxy.socket)
    both = {server.port for server in servers[:2]}
    wait_for(lambda: haproxy.ports(10) == both, message=follower.log)
    registrations[0].withdraw()
    wait_for(lambda: haproxy.ports(10) == {servers[1].port},
             message=follower.log)
    # A restart reads the file, which is as current.
    haproxy.stop()
    haproxy.start()
    assert haproxy.ports(10) == {servers[1].port}
    zk.register(PATH, servers[2].name)
    wait_for(lambda: haproxy.ports(10) == {
        servers[1].port, servers[2].port}, message=follower.log)
    assert 'told to haproxy in' in follower.log()
    assert follower.stop() == 0


def test_haproxy_that_has_lost_our_servers(zk, follow, haproxy, servers):
    # Restarted with a file that was written back by somebody.
    zk.register(PATH, servers[0].name)
    follower = follow_haproxy(follow, haproxy, '--socket', haproxy.socket)
    wait_for(lambda: haproxy.ports(3) == {servers[0].port},
             message=follower.log)
    haproxy.stop()
    haproxy.file.write_text('backend cms\n')
    haproxy.start()
    wait_for(lambda: haproxy.ports(3) == {servers[0].port},
             message=follower.log)
    assert servers[0].name in haproxy.file.read_text()


def test_haproxy_that_refuses_is_reloaded(zk, follow, haproxy, servers):
    # A static algorithm takes no servers at run time.
    zk.register(PATH, servers[0].name)
    follower = follow_haproxy(
        follow, haproxy, '--socket', haproxy.socket, '--options',
        'balance static-rr', '--interval', '.1')
    wait_for(lambda: haproxy.ports(3) == {servers[0].port},
             message=follower.log)
    zk.register(PATH, servers[1].name)
    wait_for(lambda: haproxy.ports(10) == {
        server.port for server in servers[:2]}, message=follower.log)
    follower.wait_for_log('haproxy refuses what it was told, and is reloaded')
    assert follower.stop() == 0


def test_haproxy_without_a_socket(zk, follow, haproxy, servers):
    zk.register(PATH, servers[0].name)
    follower = follow_haproxy(follow, haproxy, '--interval', '.1')
    wait_for(lambda: haproxy.ports(3) == {servers[0].port},
             message=follower.log)
    zk.register(PATH, servers[1].name)
    wait_for(lambda: haproxy.ports(10) == {
        server.port for server in servers[:2]}, message=follower.log)
