"""A ZooKeeper server for development and tests: one machine, no Java.

For production, run an Apache ZooKeeper ensemble.
"""
from zc.zk.embedded.errors import DataError
from zc.zk.embedded.errors import ServerError
from zc.zk.embedded.server import Server

__all__ = ['DataError', 'Server', 'ServerError']
