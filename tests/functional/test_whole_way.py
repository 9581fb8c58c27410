"""From a buildout section to a node that comes and goes."""
from zkzopeserver_support import examples
from zkzopeserver_support.processes import Process
from zkzopeserver_support.processes import registered
from zkzopeserver_support.running import PATH
from zkzopeserver_support.running import get

SECTION = '''
[buildout]
parts = web

[web]
recipe = zc.zkzopeserver
eggs = zc.zkzopeserver[monitor]
app = call:zc.zkzopeserver.hello:make_hello
app-options =
    greeting = Found through ZooKeeper.
zookeeper = 127.0.0.1:2181
path = /fooservice/providers
host = 127.0.0.1
monitor_server = 127.0.0.1:0
'''


def test_the_whole_way(zookeeper, client, tmp_path, monkeypatch):
    # The script must find its eggs by itself.
    monkeypatch.delenv('PYTHONPATH', raising=False)
    tree = client()
    tree.ensure_path(PATH)
    with examples.session(tmp_path, zookeeper.connection_string) as session:
        (session.folder / 'buildout.cfg').write_text(session.shown(SECTION))
        session.run('::\n\n  $ bin/buildout -q\n')
        process = Process([str(session.folder / 'bin' / 'web')], tmp_path)
        try:
            (address, data), = registered(tree, process).items()
            assert data['pid'] == process.pid
            assert sorted(data) == ['monitor', 'pid']
            assert get(address) == (200, 'Found through ZooKeeper.\n')
            process.signal()
            assert process.ended() == 0, process.output
            assert tree.get_children(PATH) == []
        finally:
            process.close()
