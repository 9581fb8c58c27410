"""What a follower remembers for the one after it, and what it believes."""
import json
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zc.zk.follow.memory import MemoryFile
from zc.zk.follow.memory import Remembered
from zc.zk.servers import Memory
from zc.zk.servers import Server

PATH = '/cms/providers'


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'memory'


def known(*names, **vanished):
    servers = {f'127.0.0.1:{port}': Server(
        f'127.0.0.1:{port}', '127.0.0.1', port, {'weight': 3})
        for port in names}
    return Remembered(Memory(PATH, frozenset(servers), 7, vanished), servers)


def test_what_is_kept_is_remembered(path):
    before = Remembered(
        Memory('/real', frozenset(['127.0.0.1:1']), 7,
               {'127.0.0.1:2': (4.5, None), '127.0.0.1:3': (9., 2.5)}),
        known(1, 2, 3).servers)
    MemoryFile(path, 300).keep({PATH: before, '/api': known(5)})
    time.sleep(.01)
    memory = MemoryFile(path, 300)
    found = memory.get(PATH)
    assert found.memory == before.memory
    assert found.servers == before.servers
    assert 0 < found.age < 60
    assert memory.get('/api').servers == known(5).servers
    assert memory.get('/other') is None


def test_it_is_written_when_it_differs_and_touched_else(path):
    memory = MemoryFile(path, 300)
    memory.keep({PATH: known(1, 2)})
    first = os.stat(path)
    os.utime(path, (1, 1))
    memory.keep({PATH: known(1, 2)})
    second = os.stat(path)
    assert second.st_ino == first.st_ino
    assert second.st_mtime >= first.st_mtime
    # The time since one has vanished is not written again each time.
    memory.keep({PATH: known(1, x=(1., None))})
    third = os.stat(path)
    assert third.st_ino != first.st_ino
    memory.keep({PATH: known(1, x=(2., None))})
    assert os.stat(path).st_ino == third.st_ino
    memory.keep({PATH: known(1, x=(3., 0.))})
    assert json.loads(path.read_text())['services'][PATH]['vanished'] == {
        'x': [3., 0.]}


def test_each_that_is_remembered_is_a_server(path):
    """Of two names for one address one is left out, wherever it stands."""
    canonical, other = (Server(name, '::1', 80) for name in (
        '[::1]:80', '[0::1]:80'))
    MemoryFile(path, 300).keep({PATH: Remembered(
        Memory(PATH, frozenset([canonical.name, 'x:0']), 7,
               {other.name: (1., 0.), 'y:0': (1., None)}),
        {each.name: each for each in (canonical, other)})})
    found = MemoryFile(path, 300).get(PATH)
    assert found.servers == {canonical.name: canonical}
    assert found.memory == Memory(PATH, frozenset([canonical.name]), 7, {})


def test_what_is_too_old_is_not_believed(path):
    MemoryFile(path, 300).keep({PATH: known(1)})
    now = time.time()
    os.utime(path, (now - 301, now - 301))
    assert MemoryFile(path, 300).get(PATH) is None
    os.utime(path, (now - 290, now - 290))
    assert MemoryFile(path, 300).get(PATH) is not None
    assert MemoryFile(path, 0).get(PATH) is None
    # A clock that was set back.
    os.utime(path, (now + 1000, now + 1000))
    assert MemoryFile(path, 300).get(PATH) is None


def test_a_full_disk_harms_nobody(tmp_path):
    memory = MemoryFile(tmp_path / 'none' / 'memory', 300)
    memory.keep({PATH: known(1)})
    (tmp_path / 'none').mkdir()
    memory.keep({PATH: known(1)})
    assert MemoryFile(tmp_path / 'none' / 'memory', 300).get(PATH)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text()
    | st.sampled_from(['services', 'vanished', 'servers', 'present']),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    max_leaves=5)


@given(data=JSON | st.builds(
    lambda services: {'version': 1, 'at': 0, 'services': services},
    JSON | st.dictionaries(st.text(), st.fixed_dictionaries(
        {}, optional=dict.fromkeys((
            'place', 'present', 'count', 'vanished', 'servers'), JSON)))))
def test_nonsense_is_not_believed(data, tmp_path_factory):
    path = tmp_path_factory.mktemp('x') / 'memory'
    path.write_text(json.dumps(data))
    memory = MemoryFile(path, 300)
    memory.keep({PATH: known(1)})
    assert MemoryFile(path, 300).get(PATH).servers == known(1).servers


def test_half_a_file_is_not_believed(path, caplog):
    MemoryFile(path, 300).keep({PATH: known(1)})
    path.write_bytes(path.read_bytes()[:30])
    assert MemoryFile(path, 300).get(PATH) is None
    assert 'not understood, and not used' in caplog.text
    assert not path.exists()
