"""``zkzopeserver INI``: served, in the background, with workers."""
import contextlib

from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.processes import Script
from zkzopeserver_support.processes import asking
from zkzopeserver_support.processes import gone
from zkzopeserver_support.processes import registered
from zkzopeserver_support.running import PATH

INI = '''\
[app:main]
use = call:zkzopeserver_support.running:make_slow
seconds = %(seconds)s

[server:main]
use = egg:zc.zkzopeserver
zookeeper = 127.0.0.1:1
path = /nosuch

[server:other]
use = egg:zc.zkzopeserver
zookeeper = %(zk)s
path = /fooservice/providers
host = 127.0.0.1
deregister_wait = 0
'''


@contextlib.contextmanager
def command(folder, *words):
    """Yield a `Script` that is ``python -m zc.zkzopeserver``."""
    ini = folder / 'web.ini'
    ini.write_text(INI)
    made = Script(ini, command=('-m', 'zc.zkzopeserver', *words))
    try:
        yield made
    finally:
        made.close()


def test_a_folder_of_any_name(zookeeper, tree, tmp_path):
    """The socket of its manager is found by its path."""
    folder = tmp_path / 'a b#c; \xfc'
    folder.mkdir()
    with command(folder, '--name', 'web', f'{folder}/web.ini#other',
                 'seconds=0',
                 f'zk={zookeeper.connection_string}') as web:
        assert 'web: up, pid ' in web('start')
        assert 'registered and answering' in web('status')
        assert 'web: stopped' in web('stop')
        gone(tree)


def test_a_server_in_the_background(zookeeper, tree, tmp_path):
    (tmp_path / 'run').mkdir()
    with command(tmp_path, '--run-directory', str(tmp_path / 'run'), '--name',
                 'web', f'{tmp_path}/web.ini#other',
                 f'zk={zookeeper.connection_string}') as web:
        web.environ['ZKZOPESERVER_THREADS'] = '3'
        assert 'web: up, pid ' in web('start', 'seconds=0')
        web.command = (*web.command, 'seconds=0')
        assert (tmp_path / 'run' / 'web.pid').exists()
        assert not (tmp_path / 'web.pid').exists()
        address, = registered(tree)
        thread, results = asking(address)
        thread.join()
        assert results[0][0] == 200
        assert 'registered and answering' in web('status')
        # The environment of the verb is not that of the server.
        del web.environ['ZKZOPESERVER_THREADS']
        threads, = [line for line in web('show').splitlines()
                    if line.startswith('  threads ')]
        assert threads.split() == ['threads', '3', '(environment)']
        pid = (tmp_path / 'run' / 'web.pid').read_text()
        web('restart')
        assert (tmp_path / 'run' / 'web.pid').read_text() != pid
        threads, = [line for line in web('show').splitlines()
                    if line.startswith('  threads ')]
        assert threads.split() == ['threads', '1', '(default)']
        assert 'web: stopped' in web('stop')
        gone(tree)
        wait_for(lambda: web.processes() == [], 5, web.log)


def test_workers_are_told_ini_and_variables(zookeeper, tree, tmp_path):
    with command(tmp_path, f'{tmp_path}/web.ini#other', 'seconds=0',
                 f'zk={zookeeper.connection_string}') as web:
        web.environ['ZKZOPESERVER_WORKERS'] = '2'
        web('start')
        first = set(registered(tree, count=2))
        web('reload')
        assert first.isdisjoint(registered(tree, count=2))
        assert (tmp_path / 'web-other.pid').exists()
        web('stop')
        gone(tree, PATH)
