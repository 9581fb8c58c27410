"""Other people's clients, on both servers: zkCli.sh, Curator, aiozk."""
import asyncio
import glob
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SHELL = '/usr/share/zookeeper/bin/zkCli.sh'
SOURCE = Path(__file__).with_name('CuratorRecipes.java')

#: The jars that Curator needs, and the Debian packages that have them.
JARS = {
    'curator-client': 'libcurator-client-java',
    'curator-framework': 'libcurator-framework-java',
    'curator-recipes': 'libcurator-recipes-java',
    'curator-x-discovery': 'libcurator-discovery-java',
    'guava': 'libguava-java',
    'jackson-annotations': 'libjackson2-annotations-java',
    'jackson-core': 'libjackson2-core-java',
    'jackson-databind': 'libjackson2-databind-java',
    'slf4j-api': 'libslf4j-java',
    'slf4j-nop': 'libslf4j-java',
    'zookeeper': 'libzookeeper-java',
    'zookeeper-jute': 'libzookeeper-java',
}


# zkCli.sh

COMMANDS = """\
create /z data
create -c /z/c contained
create -s /z/s-
create -e /z/e
ls /z
get /z
set /z other
get /z
stat /z/e
create -t 1000 /z/ttl x
getAllChildrenNumber /z
setAcl /z/c world:anyone:r
getAcl /z/c
set /z/c denied
getEphemerals
sync /z
deleteall /z
ls /z
quit
"""

SAID = [
    'Created /z', 'Created /z/c', 'Created /z/s-0000000001', 'Created /z/e',
    r'\[c, e, s-0000000001\]', 'data', 'other', 'ephemeralOwner = 0x[1-9a-f]',
    'KeeperErrorCode = Unimplemented for /z/ttl', r'\b3$',
    r"'world,'anyone", ': r$', r'(Insufficient permission|NoAuth).*/z/c',
    r'\[.*/z/e\]', 'Sync is OK', 'Node does not exist: /z',
]


def test_zkcli(zookeeper):
    if not os.path.exists(SHELL):
        pytest.skip(f"no {SHELL}: Debian's package zookeeper has it")
    done = subprocess.run(
        [SHELL, '-server', zookeeper.connection_string], input=COMMANDS,
        capture_output=True, text=True, timeout=120, check=False)
    said = done.stdout + done.stderr
    for line in SAID:
        assert re.search(line, said, re.MULTILINE), (line, said)


# Curator


@pytest.fixture(scope='module')
def class_path(tmp_path_factory):
    """Compile the program; return the class path to run it."""
    for command in 'java', 'javac':
        if not shutil.which(command):
            pytest.skip(f'no {command}: the package default-jdk has it')
    found = []
    for name, package in JARS.items():
        jar = f'/usr/share/java/{name}.jar'
        if not os.path.exists(jar):
            pytest.skip(f"no {jar}: Debian's package {package} has it")
        found.append(jar)
    found += glob.glob('/usr/share/java/netty-*.jar')
    found += glob.glob('/usr/share/java/failureaccess.jar')
    folder = str(tmp_path_factory.mktemp('classes'))
    path = ':'.join([folder, *found])
    subprocess.run(['javac', '-nowarn', '-cp', path, '-d', folder, SOURCE],
                   check=True, timeout=250, capture_output=True)
    return path


def test_curator(zookeeper, class_path):
    done = subprocess.run(
        ['java', '-Xmx128m', '-XX:TieredStopAtLevel=1', '-cp', class_path,
         'CuratorRecipes', zookeeper.connection_string],
        capture_output=True, text=True, timeout=250, check=False)
    assert done.stdout.split() == [
        'PersistentNode', 'LeaderLatch', 'InterProcessMutex',
        'PathChildrenCache', 'ServiceDiscovery', 'containers'], done.stderr


# aiozk


def test_aiozk(zookeeper):
    aiozk = pytest.importorskip('aiozk', reason='no aiozk (PyPI)')
    asyncio.run(_use_aiozk(aiozk, zookeeper))


async def _use_aiozk(aiozk, zookeeper):
    one, other = [
        aiozk.ZKClient(zookeeper.hosts, chroot=zookeeper.chroot)
        for _ in range(2)]
    await one.start()
    await other.start()
    await one.ensure_path('/a/b')
    await one.create('/a/b/e', b'x', ephemeral=True)
    assert await other.get_children('/a/b') == ['e']
    assert await other.get_data('/a/b/e') == b'x'
    await one.create('/container', container=True)
    await one.create('/container/child')
    transaction = one.begin_transaction()
    transaction.create('/container/other', container=True)
    transaction.delete('/container/child')
    assert await transaction.commit()
    assert await other.get_children('/container') == ['other']
    lock, other_lock = (client.recipes.Lock('/lock')
                        for client in (one, other))
    async with lock:
        with pytest.raises(aiozk.exc.TimeoutError):
            await other_lock.acquire(timeout=.2)
    async with other_lock:
        assert len(await one.get_children('/lock')) == 1
    await other.close()
    await one.close()
