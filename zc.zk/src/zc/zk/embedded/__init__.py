"""A ZooKeeper server for development and tests: one machine, no Java.

Production is an Apache ZooKeeper ensemble.
"""
from zc.zk.embedded.server import Server
from zc.zk.embedded.server import ServerError

__all__ = ['Server', 'ServerError']
