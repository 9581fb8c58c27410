"""After a fork: what the child may do with the session of its parent."""
import os
import subprocess
import sys

from zc.zk.testing.waiting import wait_for
from zc_zk_support.registrations import NODE
from zc_zk_support.registrations import PATH

# This program registers, forks, and prints what the child finds out: a line
# for each call with its exception or result, and whether none has waited.
# Then the parent goes on.
FORKING = """
import os, sys, time, traceback
import zc.zk
zk = zc.zk.ZooKeeper(sys.argv[1])
registration = zk.register('/service/providers', '192.0.2.7:8080')
children = zk.children('/service')
sys.stdout.flush()
child = os.fork()
if not child:
    began = time.monotonic()
    for call in (lambda: zk.exists('/'), lambda: zk.client.get('/'),
                 lambda: zk.children('/'),
                 lambda: zk.get_properties('/service'),
                 lambda: zk.export_tree('/service'),
                 lambda: zk.set('/service', b''),
                 lambda: zk.register('/service', 'a:1'),
                 lambda: registration.update(a=1),
                 lambda: registration.state,
                 lambda: registration.withdraw(),
                 lambda: zk.is_alive(),
                 lambda: zk.close(), lambda: zk.close()):
        try:
            print(repr(call()))
        except Exception as error:
            print(type(error).__name__, error)
    print(time.monotonic() - began < 30, flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(registration.state, zk.is_alive(), list(children), flush=True)
sys.stdin.readline()
print(registration.reregistered, zk.exists('/') is not None, flush=True)
zk.close()
"""


def test_a_forked_child(zookeeper, client):
    witness = client()
    witness.ensure_path(PATH)
    environ = os.environ | {'PYTHONPATH': os.pathsep.join(sys.path)}
    with subprocess.Popen(
            [sys.executable, '-c', FORKING, zookeeper.connection_string],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environ) as process:
        said = [process.stdout.readline().rstrip() for _ in range(15)]
        created = witness.exists(NODE).czxid
        witness.delete(NODE)  # the parent's watches are there
        wait_for(lambda: witness.exists(NODE)
                 and witness.exists(NODE).czxid > created)
        print(file=process.stdin, flush=True)
        last = process.stdout.readline()
        assert process.wait(30) == 0
    refused = (f'UsedAfterFork this session is that of process {process.pid},'
               ' before a fork; make a ZooKeeper object in each process')
    assert said == [refused] * 8 + [
        "'lost'", refused, 'False', 'None', 'None', 'True',
        "registered True ['providers']"]
    assert last == '1 True\n'
