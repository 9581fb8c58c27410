"""`Balancer`, on a real ZooKeeper."""
import contextlib
import gc
import os
import socket
import threading
import time
import weakref

import pytest
from zc.zk.balancing import Balancer
from zc.zk.balancing import NoServers
from zc.zk.balancing import balancer as balancers
from zc.zk.balancing.balancer import is_refusal
from zc.zk.testing.waiting import wait_for

PATH = '/service/providers'


@pytest.fixture
def zk(connect):
    """A connection to the test's ZooKeeper."""
    return connect()


def names(balancer, count=100):
    """The names of the servers that are chosen."""
    found = set()
    for _ in range(count):
        with balancer.server() as server:
            found.add(server.name)
    return found


def test_servers_are_those_of_zookeeper(zookeeper, zk):
    first = zk.register(PATH, '127.0.0.1:81')
    balancer = Balancer(zk, PATH)
    assert names(balancer) == {'127.0.0.1:81'}
    zk.register(PATH, '127.0.0.1:82', weight=2)
    wait_for(lambda: names(balancer) == {'127.0.0.1:81', '127.0.0.1:82'}, 10,
             'the second')
    first.withdraw()
    wait_for(lambda: names(balancer) == {'127.0.0.1:82'}, 60, 'the first gone')
    with balancer.server() as server:
        assert server.properties['weight'] == 2


def test_without_servers_it_waits_for_one(zookeeper, zk):
    balancer = Balancer(zk, PATH, wait=0.2)
    with pytest.raises(NoServers, match=f'{PATH} has no servers$'):
        balancer.lease()
    with pytest.raises(ConnectionError):
        with balancer.server(timeout=0.01):
            raise AssertionError('there is none')
    balancer.wait = 30
    threading.Timer(0.1, zk.register, (PATH, '127.0.0.1:81')).start()
    with balancer.server() as server:
        assert server.port == 81


def test_a_path_that_does_not_exist(zookeeper, zk):
    balancer = Balancer(zk, '/nosuch', wait=0.1)
    with pytest.raises(NoServers, match='no servers that could be read'):
        balancer.lease()


def test_who_fails_rests_and_other_errors_do_not_count(zookeeper, zk):
    for port in 81, 82:
        zk.register(PATH, f'127.0.0.1:{port}')
    balancer = Balancer(zk, PATH)
    with pytest.raises(KeyError):
        with balancer.server(exclude=['127.0.0.1:82']):
            raise KeyError
    assert names(balancer) == {'127.0.0.1:81', '127.0.0.1:82'}
    with pytest.raises(TimeoutError):
        with balancer.server(exclude=['127.0.0.1:82']):
            raise TimeoutError
    assert names(balancer) == {'127.0.0.1:82'}
    # Excluded and the only one: it is used all the same.
    with balancer.server(exclude=['127.0.0.1:82', '127.0.0.1:81']) as server:
        assert server.port == 82


def test_a_lease_ends_once(zookeeper, zk):
    zk.register(PATH, '127.0.0.1:81')
    balancer = Balancer(zk, PATH)
    lease, other = balancer.lease(), balancer.lease()
    candidate = balancer._candidates._by_name['127.0.0.1:81']
    assert candidate.load == 2
    lease.done()
    lease.done(OSError())
    assert candidate.load == 1
    other.done()
    assert candidate.load == 0
    assert candidate.rest_s == 0


def test_who_left_is_told(zookeeper, zk):
    registration = zk.register(PATH, '127.0.0.1:81')
    zk.register(PATH, '127.0.0.1:82')
    balancer = Balancer(zk, PATH)
    left = []
    balancer.on_leave(left.append)
    registration.withdraw()
    wait_for(lambda: left, 60, 'the leave')
    assert [server.name for server in left] == ['127.0.0.1:81']


def test_while_zookeeper_is_away_the_last_list_is_used(zookeeper_server,
                                                       connect):
    zk = connect()
    zk.register(PATH, '127.0.0.1:81')
    balancer = Balancer(zk, PATH)
    assert names(balancer) == {'127.0.0.1:81'}
    zookeeper_server.kill()
    wait_for(lambda: balancer.servers.stale_since, 20, 'the outage')
    assert names(balancer) == {'127.0.0.1:81'}
    zookeeper_server.start()


@contextlib.contextmanager
def listening(count):
    """Sockets that listen, and whose connections are accepted."""
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(socket.create_server(('127.0.0.1', 0)))
                for _ in range(count)]
        for each in made:
            threading.Thread(target=accept, args=(each,), daemon=True).start()
        yield made
        for each in made:
            stop(each)


def accept(listener):
    """Accept connections, and close them."""
    with contextlib.suppress(OSError):
        while True:
            listener.accept()[0].close()


def stop(listener):
    """Close a socket in which a thread waits."""
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def use(balancer, count=60):
    """Connect to whoever is chosen, as a client does; return the failures."""
    failures = []
    for _ in range(count):
        tried = []
        while True:
            lease = balancer.lease(tried)
            try:
                socket.create_connection(
                    (lease.server.host, lease.server.port), 5).close()
            except OSError as error:
                lease.done(error)
                tried.append(lease.server.name)
                if len(tried) == 4:
                    failures.append(error)
                    break
            else:
                lease.done()
                break
    return failures


def ports(balancer):
    """The ports that are chosen."""
    return {int(name.rpartition(':')[2]) for name in names(balancer)}


def test_servers_that_vanish_together_and_serve_are_used_on(zookeeper, zk):
    with listening(4) as sockets:
        here = {each.getsockname()[1] for each in sockets}
        made = [zk.register(PATH, f'127.0.0.1:{port}') for port in here]
        balancer = Balancer(zk, PATH, hold_after=0.2)
        for registration in made[1:]:
            registration.withdraw()
        wait_for(lambda: len(ports(balancer)) < 4, 60, 'the loss')
        wait_for(lambda: ports(balancer) == here, 60, 'the return')
        assert use(balancer) == []


def test_servers_that_stopped_together_are_not(zookeeper, zk):
    with listening(4) as sockets:
        made = [zk.register(PATH, f'127.0.0.1:{each.getsockname()[1]}')
                for each in sockets]
        balancer = Balancer(zk, PATH, hold_after=0.2)
        for registration, listener in list(zip(made, sockets,
                                               strict=True))[1:]:
            registration.withdraw()
            stop(listener)
        port = sockets[0].getsockname()[1]
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            assert use(balancer, 5) == []
        wait_for(lambda: use(balancer, 5) == [] and not balancer._hold.held,
                 10, 'the refusals')
        assert ports(balancer) == {port}


def test_who_was_withdrawn_on_purpose_is_not_put_back(zookeeper, zk):
    with listening(4) as sockets:
        made = [zk.register(PATH, f'127.0.0.1:{each.getsockname()[1]}')
                for each in sockets]
        balancer = Balancer(zk, PATH, hold_after=0.1)
        for registration in made[1:]:
            registration.withdraw(mark=True)
        port = sockets[0].getsockname()[1]
        wait_for(lambda: ports(balancer) == {port}, 60, 'the withdrawal')
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            assert ports(balancer) == {port}


def test_a_child_process_begins_with_no_request_under_way(zookeeper, zk):
    zk.register(PATH, '127.0.0.1:81')
    balancer = Balancer(zk, PATH)
    balancer.lease()
    balancer._changed.acquire()     # as another thread may hold it
    try:
        pid = os.fork()
        if pid == 0:
            lease = balancer.try_lease()
            os._exit(lease is None or lease._candidate.load != 1)
    finally:
        balancer._changed.release()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_many_threads(zookeeper, zk):
    for port in range(81, 86):
        zk.register(PATH, f'127.0.0.1:{port}')
    balancer = Balancer(zk, PATH)
    threads = [threading.Thread(target=names, args=(balancer, 300))
               for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.load for each in balancer._candidates._by_name.values()
            ] == [0] * 5


HOSTILE = (
    '127.0.0.1:1; } server { listen 1;', '127.0.0.1:0', '127.0.0.1:65536',
    'user@127.0.0.1:81', '127.0.0.1:81?x=', '127.0.0.1:81#', '[::1', ':81',
    '127.0.0.1:81 X: y', '-x:81', 'http:', '127.0.0.1:８１',
    '169.254.169.254:80@127.0.0.1:81', '127.0.0.1', '..:81', '%2e:81')


def test_hostile_names_are_never_chosen(zookeeper, zk):
    zk.register(PATH, '127.0.0.1:81', weight=10 ** 400, rack={'a': [1]})
    for name in HOSTILE:
        zk.create(f'{PATH}/{name}')
    balancer = Balancer(zk, PATH, prefer={'rack': 'A'})
    assert names(balancer, 200) == {'127.0.0.1:81'}
    assert set(balancer.servers.refused) == set(HOSTILE)


def test_ten_thousand_servers(zookeeper, connect):
    # A session that outlives the time that a busy machine takes for this.
    zk = connect(30.)
    here = [f'10.0.{number // 250}.{number % 250 + 1}:80'
            for number in range(10_000)]
    zk.import_tree('/many\n  /providers\n' + ''.join(
        f'    /{name}\n' for name in here))
    # Those that have gone would be used on while the others are deleted.
    balancer = Balancer(zk, '/many/providers', wait=0.1, hold_after=600)
    assert balancer.count == 10_000
    assert len(names(balancer, 1000)) > 900
    # Half of them fail, and then all.
    candidates, later = balancer._candidates, time.monotonic() + 1000
    for name in here[::2]:
        candidates.failed(candidates._by_name[name], later)
    assert names(balancer, 1000) <= set(here[1::2])
    for name in here[1::2]:
        candidates.failed(candidates._by_name[name], later)
    assert balancer.try_lease() is not None
    zk.import_tree('/many\n  /providers\n    /10.9.9.9:80\n', trim=True)
    wait_for(lambda: names(balancer, 20) == {'10.9.9.9:80'}, 120, 'the loss')


def test_a_request_may_end_where_the_lock_is_held(zookeeper, zk):
    """The garbage collector ends those of responses that were dropped."""
    zk.register(PATH, '127.0.0.1:81')
    balancer = Balancer(zk, PATH)
    lease = balancer.lease()

    def run():
        with balancer._changed:
            lease.done()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_who_left_is_told_again_when_its_last_request_ends(zookeeper, zk):
    registration = zk.register(PATH, '127.0.0.1:81')
    zk.register(PATH, '127.0.0.1:82')
    balancer = Balancer(zk, PATH)
    left = []
    balancer.on_leave(left.append)
    leases = [balancer.lease(['127.0.0.1:82']) for _ in range(2)]
    registration.withdraw()
    wait_for(lambda: left, 60, 'the leave')
    leases[0].done()
    assert len(left) == 1
    leases[1].done()
    assert [server.name for server in left] == ['127.0.0.1:81'] * 2
    # Not if it has come back.
    registration.restore()
    wait_for(lambda: balancer.count == 2, 60, 'the return')
    lease = balancer.lease(['127.0.0.1:82'])
    registration.withdraw()
    wait_for(lambda: len(left) == 3, 60, 'the leave')
    registration.restore()
    wait_for(lambda: balancer.count == 2, 60, 'the return')
    lease.done()
    assert len(left) == 3


def test_requests_that_others_end_do_not_make_a_server_rest(zookeeper, zk):
    zk.register(PATH, '127.0.0.1:81')
    balancer = Balancer(zk, PATH)
    candidate = balancer._candidates._by_name['127.0.0.1:81']
    balancer.lease().done(TimeoutError(), failed=False)
    assert candidate.rest_s == 0
    assert candidate.usual_s > 0
    balancer.lease().done(KeyError(), failed=True)
    assert candidate.rest_s


def test_after_the_connection_is_closed_the_last_list_is_used(zookeeper,
                                                              connect):
    zk = connect()
    connect().register(PATH, '127.0.0.1:81')
    balancer = Balancer(zk, PATH)
    zk.close()
    assert names(balancer) == {'127.0.0.1:81'}


def test_a_balancer_that_is_dropped_is_gone(zookeeper, zk):
    zk.register(PATH, '127.0.0.1:81')
    balancer = Balancer(zk, PATH)
    assert names(balancer) == {'127.0.0.1:81'}
    reference = weakref.ref(balancer)
    del balancer
    wait_for(lambda: gc.collect() and False or reference() is None, 10,
             'the end of the balancer')


def test_refusals_are_found_in_chains():
    refused = ConnectionRefusedError()
    outer = ValueError()
    outer.__cause__ = RuntimeError()
    outer.__cause__.__context__ = refused
    assert is_refusal(outer)
    assert is_refusal(refused)
    assert not is_refusal(ConnectionResetError())
    assert not is_refusal(None)
    refused_not = ValueError()
    refused_not.__context__ = refused_not.__cause__ = RuntimeError()
    assert not is_refusal(refused_not)


def test_the_defaults():
    assert (balancers.WAIT_S, balancers.HOLD_S, balancers.HOLD_AFTER_S) == (
        2.0, 300.0, 3.0)


def test_when_all_vanish_at_once_they_are_used_on(zookeeper, zk):
    """Also those that were not there together with others before."""
    with listening(3) as sockets:
        here = [each.getsockname()[1] for each in sockets]
        made = [zk.register(PATH, f'127.0.0.1:{port}') for port in here]
        balancer = Balancer(zk, PATH, wait=0)
        # One that has stopped, a while ago.
        made[0].withdraw()
        stop(sockets[0])
        wait_for(lambda: ports(balancer) == set(here[1:]), 60, 'the stop')
        for when in balancer._gone_at:
            balancer._gone_at[when] -= 2 * balancers.TOGETHER_S
        for registration in made[1:]:
            registration.withdraw()
        wait_for(lambda: not balancer.servers and
                 ports(balancer) == set(here[1:]), 60, 'the loss')
        assert use(balancer, 20) == []
        for each in sockets[1:]:
            stop(each)
        wait_for(lambda: is_empty(balancer), 60, 'the refusals')


def is_empty(balancer):
    """Try a server; return whether there is none any more."""
    try:
        lease = balancer.lease()
    except NoServers:
        return True
    lease.done(ConnectionRefusedError())
    return False
