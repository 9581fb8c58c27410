"""zookeeper_follow killed at any moment, and on a full disk: the file."""
import contextlib
import json
import os
import random
import resource
import subprocess
import threading

import pytest
import zc.zk
from zc.zk.testing.waiting import wait_for
from zc_zk_support.following import Follower

PATH = '/cms/providers'
KILLS = 6


@pytest.fixture
def zk(zookeeper):
    with zc.zk.ZooKeeper(zookeeper.connection_string, 5.) as zk:
        zk.client.ensure_path(PATH)
        yield zk


@pytest.fixture
def output(tmp_path):
    (tmp_path / 'out').mkdir()
    return tmp_path / 'out' / 'cms.json'


def ports(text):
    """The ports in a file, which is refused unless it is whole."""
    return [server['port'] for server in json.loads(text)['cms']['servers']]


class Reader(threading.Thread):
    """Reads a file all the time; notes what a proxy must never see."""

    def __init__(self, path):
        super().__init__()
        self._path = path
        self._done = threading.Event()
        self.count = 0
        self.wrong = []

    def run(self):
        newest = 0
        while not self._done.wait(.0005):
            text = self._path.read_text()
            try:
                found = ports(text)
                if not found or max(found) < newest:
                    self.wrong.append((newest, found))
                newest = max(found)
            except ValueError:
                self.wrong.append(text)
            self.count += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self._done.set()
        self.join()


class Changes(threading.Thread):
    """Replaces the one server by another, again and again."""

    def __init__(self, zk):
        super().__init__()
        self._zk = zk
        self._done = threading.Event()
        self.port = 2000
        zk.create(f'{PATH}/127.0.0.1:2000')

    def run(self):
        while not self._done.wait(.01):
            # The new one first: the list is never empty.
            self._zk.create(f'{PATH}/127.0.0.1:{self.port + 1}')
            self._zk.client.delete(f'{PATH}/127.0.0.1:{self.port}')
            self.port += 1

    def stop(self):
        self._done.set()
        self.join()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.stop()


@pytest.mark.parametrize('seed', [1, 2])
def test_killed_at_any_moment(zookeeper, zk, output, tmp_path, seed):
    loaded = tmp_path / 'loaded'
    # An update is long: most of the kills are in one.
    arguments = (zookeeper.connection_string, PATH, '--format', 'json', '-o',
                 str(output), '--interval', '.05', '--check',
                 'sh -c "sleep .01; test -s {file}"', '--reload',
                 f'sh -c "cp {{file}} {loaded}.new; mv {loaded}.new {loaded}"')
    dice = random.Random(seed)
    with Changes(zk) as changes:
        follower = Follower(tmp_path, *arguments)
        try:
            wait_for(output.exists, message=follower.log)
            with Reader(output) as reader:
                for _ in range(KILLS):
                    follower.wait_for_log('loaded in ')
                    threading.Event().wait(dice.uniform(0, .1))
                    follower.kill()
                    (tmp_path / 'follow.log').write_text('')
                    follower = Follower(tmp_path, *arguments)
                follower.wait_for_log('loaded in ')
                changes.stop()
                wait_for(lambda: ports(output.read_text()) == [changes.port],
                         message=follower.log)
                wait_for(lambda: loaded.read_text() == output.read_text(),
                         message=follower.log)
        finally:
            follower.kill()
    assert reader.wrong == []
    assert reader.count > 100
    assert set(os.listdir(output.parent / '.cms.json.follow')) <= {
        'lock', 'memory'}


def test_killed_while_a_check_fails(zookeeper, zk, output, tmp_path):
    """The old file is put back, and the new one again: whole files."""
    bad = tmp_path / 'bad'
    arguments = (zookeeper.connection_string, PATH, '--format', 'json', '-o',
                 str(output), '--interval', '.05', '--check',
                 f'sh -c "sleep .01; test ! -e {bad}"', '--reload', 'true')
    dice = random.Random(3)
    with Changes(zk) as changes:
        follower = Follower(tmp_path, *arguments)
        try:
            wait_for(output.exists, message=follower.log)
            with Reader(output) as reader:
                for _ in range(KILLS // 2):
                    follower.wait_for_log('loaded in ')
                    bad.touch()
                    follower.wait_for_log('the configuration is refused')
                    threading.Event().wait(dice.uniform(0, .1))
                    follower.kill()
                    (tmp_path / 'follow.log').write_text('')
                    bad.unlink()
                    follower = Follower(tmp_path, *arguments)
                changes.stop()
                wait_for(lambda: ports(output.read_text()) == [changes.port],
                         message=follower.log)
        finally:
            follower.kill()
    # What was put back is older, and whole.
    assert [each for each in reader.wrong
            if not isinstance(each, tuple) or not each[1]] == []


@contextlib.contextmanager
def no_large_files(follower):
    pid = follower.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE, (10_000, -1))
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def full_disk(follower, folder):
    """Fill the file system of a folder, to the last byte."""
    filler = folder / 'filler'
    with filler.open('wb', buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(b'x' * 4096)
        with contextlib.suppress(OSError):
            while True:
                file.write(b'x')
    yield
    filler.unlink()


@pytest.fixture
def small_disk(output):
    """A file system of its own for the file; only root can make one."""
    mounted = subprocess.run(
        ['mount', '-t', 'tmpfs', '-o', 'size=256k', 'none',
         str(output.parent)], capture_output=True)
    if mounted.returncode:
        pytest.skip('no file system can be mounted here')
    yield output.parent
    subprocess.run(['umount', '-l', str(output.parent)], check=True)


def check_full(zookeeper, zk, output, tmp_path, make_full):
    zk.create(f'{PATH}/127.0.0.1:1000')
    follower = Follower(tmp_path, zookeeper.connection_string, PATH,
                        '--format', 'json', '-o', str(output))
    try:
        follower.wait_for_log('1 server (+127.0.0.1:1000), written')
        before = output.read_text()
        with make_full(follower):
            transaction = zk.client.transaction()
            for number in range(300):
                transaction.create(f'{PATH}/127.0.0.1:{2000 + number}')
            transaction.commit()
            follower.wait_for_log('; the file stays as it was')
            assert output.read_text() == before
        wait_for(lambda: len(ports(output.read_text())) == 301,
                 message=follower.log)
        follower.wait_for_log('cms.json: written')
        # The memory is written after the file.
        wait_for(lambda: set(os.listdir(
            output.parent / '.cms.json.follow')) <= {'lock', 'memory'})
        assert follower.stop() == 0
        assert 'Traceback' not in follower.log()
    finally:
        follower.kill()


def test_a_file_that_may_not_grow(zookeeper, zk, output, tmp_path):
    check_full(zookeeper, zk, output, tmp_path, no_large_files)


def test_a_full_disk(zookeeper, zk, output, tmp_path, small_disk):
    check_full(zookeeper, zk, output, tmp_path,
               lambda follower: full_disk(follower, small_disk))


def test_a_restart_while_zookeeper_is_away(zookeeper_server, output,
                                           tmp_path):
    where = zookeeper_server.connection_string
    arguments = (where, PATH, '--format', 'json', '-o', str(output))
    with zc.zk.ZooKeeper(where, 20.) as zk:
        zk.client.ensure_path(PATH)
        for port in range(4):
            zk.create(f'{PATH}/127.0.0.1:{2000 + port}')
        follower = Follower(tmp_path, *arguments)
        try:
            follower.wait_for_log('4 servers')
            before = output.read_text()
            follower.kill()
            zookeeper_server.stop()
            follower = Follower(tmp_path, *arguments)
            follower.wait_for_log('Waiting for ZooKeeper')
            assert output.read_text() == before
            zookeeper_server.start()
            zk.client.retry(zk.client.create, PATH + '/127.0.0.1:2004')
            wait_for(lambda: ports(output.read_text())
                     == [2000, 2001, 2002, 2003, 2004], message=follower.log)
            assert follower.stop() == 0
        finally:
            follower.kill()
