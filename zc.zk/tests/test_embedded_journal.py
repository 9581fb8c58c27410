"""Test the data file: what it keeps, and which errors it reports."""
import itertools
import logging
import os
import random
import threading

import pytest
from kazoo.exceptions import KazooException
from kazoo.security import make_digest_acl
from zc.zk.embedded import DataError
from zc.zk.embedded import Server
from zc.zk.testing.clients import start_client
from zc.zk.testing.clients import stop_client
from zc.zk.testing.development import Embedded
from zc.zk.testing.leaks import no_leaks as nothing_left
from zc.zk.testing.waiting import wait_for


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'data'


class Session:
    """A server on a data file, and a client: a context manager."""

    def __init__(self, path):
        self.server = Server(data=path)

    def __enter__(self):
        self.server.start()
        try:
            self.client = start_client(self.server.connection_string)
        except BaseException:
            self.server.close()
            raise
        return self.client

    def __exit__(self, *exc_info):
        stop_client(self.client)
        self.server.close()


def tree(client, path='/'):
    """Return data, Stat and ACL of all nodes."""
    data, stat = client.get(path)
    found = {path: (data, stat, client.get_acls(path)[0])}
    for name in client.get_children(path):
        found.update(tree(client, f'{path.rstrip("/")}/{name}'))
    return found


def fill(client):
    client.create('/a', b'1')
    client.create('/a/\xfc', bytes(range(256)), acl=[
        make_digest_acl('user', 'secret', all=True),
        make_digest_acl('other', 'secret', read=True),
        *client.get_acls('/')[0]])
    client.create('/a/deleted')
    client.set('/a', b'22')
    client.delete('/a/deleted')
    for _ in range(3):
        client.create('/a/n-', sequence=True)
    with client.transaction() as transaction:
        transaction.create('/b')
        transaction.create('/b/c')
        transaction.set_data('/b', b'x')
        transaction.delete('/a/n-0000000004')
    client.set_acls('/b', client.get_acls('/')[0])


def test_everything_of_the_persistent_nodes_is_kept(path):
    with Session(path) as client:
        fill(client)
        before = tree(client)
    for _ in range(2):
        with Session(path) as client:
            assert tree(client) == before


def test_ephemerals_are_not_kept_but_their_numbers_are_used(path):
    with Session(path) as client:
        client.create('/queue')
        client.create('/queue/n-', ephemeral=True, sequence=True)
        client.create('/gone', ephemeral=True)
        cversion = client.exists('/queue').cversion
    with Session(path) as client:
        assert not client.exists('/gone')
        stat = client.exists('/queue')
        assert (stat.numChildren, stat.cversion) == (0, cversion + 1)
        assert client.create(
            '/queue/n-', sequence=True) == '/queue/n-0000000001'


def test_a_failed_multi_leaves_nothing_in_the_file(path):
    with Session(path) as client:
        client.create('/a')
        transaction = client.transaction()
        transaction.set_data('/a', b'changed')
        transaction.create('/b')
        transaction.delete('/none')
        transaction.commit()
        before = tree(client)
    with Session(path) as client:
        assert tree(client) == before


def test_a_node_may_go_and_come_in_one_transaction(path):
    with Session(path) as client:
        client.create('/a')
        client.create('/a/b', b'old')
        with client.transaction() as transaction:
            transaction.set_data('/a', b'x')
            transaction.delete('/a/b')
            transaction.delete('/a')
            transaction.create('/a')
            transaction.create('/a/b', b'new')
            transaction.create('/a/c')
            transaction.delete('/a/c')
        before = tree(client)
    with Session(path) as client:
        assert tree(client) == before


def test_sessions_of_a_former_run_have_expired(path):
    with Session(path) as client:
        former = client.client_id
    with Session(path) as client:
        assert client.client_id != former
        (host, port), = client.hosts
        again = start_client(f'{host}:{port}', client_id=former)
        assert again.client_id != former
        stop_client(again)


LIVES = 4


def test_nothing_confirmed_is_lost_when_the_process_is_killed(tmp_path):
    """The server is killed several times while a client writes."""
    source = random.Random(7)
    confirmed = {}
    with Embedded(tmp_path) as server:
        for life in range(LIVES):
            # A long session, so that only the kill ends its writing.
            client = start_client(
                server.hosts, timeout=60, command_retry={'max_tries': 0})
            client.ensure_path('/kept')
            enough = len(confirmed) + source.randrange(20, 200)
            killer = threading.Thread(
                target=_kill, args=[server, confirmed, enough])
            killer.start()
            _write(client, f'/kept/{life}-', confirmed)
            killer.join()
            stop_client(client)
        client = start_client(server.hosts)
        kept = {f'/kept/{name}' for name in client.get_children('/kept')}
        # Each kill may leave one node that was written but not confirmed.
        assert confirmed.keys() <= kept
        assert len(kept) <= len(confirmed) + LIVES
        for name in source.sample(sorted(confirmed), 20):
            assert client.get(name)[0] == confirmed[name]
        stop_client(client)


def _kill(server, confirmed, enough):
    """Kill the server when `count` nodes are confirmed."""
    wait_for(lambda: len(confirmed) >= enough, 60, interval=.001)
    server.kill()
    server.start()


def _write(client, prefix, confirmed):
    """Create nodes until one cannot be confirmed."""
    for number in itertools.count():
        data = b'%d' % number
        try:
            client.create(f'{prefix}{number}', data)
        except KazooException:
            return
        confirmed[f'{prefix}{number}'] = data


def test_each_way_of_cutting_off_the_last_record_is_survived(
        path, tmp_path, caplog):
    with Session(path) as client:
        client.create('/a')
        size = os.path.getsize(path)
        client.create('/last', b'data')
        whole = path.read_bytes()
    for cut in range(size + 1, len(whole), 3):
        torn = tmp_path / f'torn-{cut}'
        torn.write_bytes(whole[:cut])
        caplog.clear()
        with Session(torn) as client:
            assert set(client.get_children('/')) == {'a', 'zookeeper'}
            client.create('/more')
        assert _messages(caplog) == [
            f'{torn}: the last record was not written to its end:'
            f' {cut - size} bytes dropped']
        with Session(torn) as client:
            assert client.exists('/more')


def test_a_flipped_bit_anywhere_is_noticed(path, tmp_path, caplog):
    with Session(path) as client:
        for number in range(5):
            client.create(f'/{number}', b'x' * 20)
        whole = path.read_bytes()
    last = whole.rindex(b'x' * 20)
    for at in range(30, len(whole), 17):
        damaged = bytearray(whole)
        damaged[at] ^= 4
        copy = tmp_path / 'copy'
        copy.write_bytes(damaged)
        try:
            with Session(copy) as client:
                # Only the last record may be lost.
                assert at > last - 200
                assert set(client.get_children('/')) >= set('0123')
        except DataError as error:
            assert str(error).startswith(f'{copy}: damaged at byte ')
            assert '\n' not in str(error)
            assert copy.read_bytes() == damaged
        copy.unlink()
    assert at > last


def test_what_is_no_data_file_stays_as_it_is(path):
    path.write_text('[section]\nkey = value\n')
    with pytest.raises(DataError) as raised:
        Server(data=path).start()
    assert str(raised.value) == f'{path}: not a data file of this server'
    assert path.read_text() == '[section]\nkey = value\n'


def test_a_second_server_on_a_file_is_refused(path):
    with Server(data=path):
        with nothing_left(), pytest.raises(DataError) as raised:
            Server(data=path).start()
        assert str(raised.value) == (
            f'{path}: another server uses this file')
    with Server(data=path):
        pass


@pytest.mark.parametrize('name,reason', [
    ('none/data', 'No such file or directory'), ('.', 'Is a directory')])
def test_a_file_that_cannot_be_opened_is_one_clear_line(
        tmp_path, name, reason):
    path = tmp_path / name
    with nothing_left(), pytest.raises(DataError) as raised:
        Server(data=path).start()
    assert str(raised.value) == f'{path}: {reason}'


def test_the_file_does_not_grow_with_history(path):
    with Session(path) as client:
        client.create('/a')
        for _ in range(60):
            client.set('/a', bytes(300_000))
        assert path.stat().st_size < 6_000_000
        before = tree(client)
    with Session(path) as client:
        assert tree(client) == before
        assert path.stat().st_size < 400_000
    assert [entry.name for entry in path.parent.iterdir()] == ['data']


def test_a_compacted_file_is_still_locked_and_written(path):
    with Session(path) as client:
        client.create('/a')
        for _ in range(20):
            client.set('/a', bytes(300_000))
        with pytest.raises(DataError, match='another server'):
            Server(data=path).start()
        client.create('/b')
    with Session(path) as client:
        assert client.exists('/b')


def test_a_private_file_stays_private(path):
    with Session(path):
        pass
    path.chmod(0o600)
    with Session(path) as client:
        client.create('/a')
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_symbolic_link_stays_one(path, tmp_path):
    link = tmp_path / 'link'
    link.symlink_to(path)
    with Session(link) as client:
        client.create('/a')
    assert link.is_symlink()
    with Session(path) as client:
        assert client.exists('/a')


def test_a_full_disk_refuses_changes_and_keeps_the_rest(path, caplog):
    resource = pytest.importorskip('resource')
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Session(path) as client:
        client.create('/a', b'before')
        # As on a full disk, files cannot grow beyond this. Python ignores
        # the signal SIGXFSZ.
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (path.stat().st_size + 50, limits[1]))
        try:
            with pytest.raises(KazooException):
                client.set('/a', bytes(1000))
            transaction = client.transaction()
            transaction.set_data('/a', bytes(1000))
            with pytest.raises(KazooException):
                transaction.commit()
            assert client.get('/a')[0] == b'before'
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        client.set('/a', b'after')
    with Session(path) as client:
        assert client.get('/a')[0] == b'after'
    assert any('cannot be written' in message
               for message in _messages(caplog))


def test_a_change_is_in_the_file_before_it_is_confirmed(path, tmp_path):
    copy = tmp_path / 'copy'
    with Session(path) as client:
        client.create('/a', b'data')
        copy.write_bytes(path.read_bytes())
    with Session(copy) as client:
        assert client.get('/a')[0] == b'data'


def test_zxids_go_on_where_they_were(path):
    with Session(path) as client:
        first = client.create('/a', include_data=True)[1].czxid
    with Session(path) as client:
        assert client.create('/b', include_data=True)[1].czxid > first


def _messages(caplog):
    return [record.getMessage() for record in caplog.records
            if record.name.startswith('zc.zk.embedded')
            and record.levelno >= logging.WARNING]
