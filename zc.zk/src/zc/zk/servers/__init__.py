"""The servers of a service, as a client needs them.

`Servers` is a view of a providers node: addresses that can be used, their
properties, and how current that is. `Hold` decides which servers go on being
used although ZooKeeper has them no more. `ask` finds out who still accepts.
"""
from zc.zk.servers.asking import ask
from zc.zk.servers.hold import Answer
from zc.zk.servers.hold import Hold
from zc.zk.servers.hold import Memory
from zc.zk.servers.server import Server
from zc.zk.servers.view import Change
from zc.zk.servers.view import Servers

__all__ = ['Answer', 'Change', 'Hold', 'Memory', 'Server', 'Servers', 'ask']
