"""Service registration, discovery, and trees of services in ZooKeeper.

`ZooKeeper` is where to begin; ``ZK`` is the same class.
"""
from kazoo.exceptions import NoNodeError
from kazoo.security import OPEN_ACL_UNSAFE
from kazoo.security import READ_ACL_UNSAFE
from zc.zk import event
from zc.zk.addresses import parse_addr
from zc.zk.client import ZK
from zc.zk.client import ZooKeeper
from zc.zk.client import creator_acl
from zc.zk.encoding import decode
from zc.zk.encoding import encode
from zc.zk.errors import BadPropertyLink
from zc.zk.errors import CancelWatch
from zc.zk.errors import FailedConnect
from zc.zk.errors import LinkLoop
from zc.zk.paths import join
from zc.zk.properties import Properties
from zc.zk.registering import RegisteringServer
from zc.zk.registering import Registration
from zc.zk.watching import Children

__all__ = [
    'OPEN_ACL_UNSAFE',
    'READ_ACL_UNSAFE',
    'ZK',
    'BadPropertyLink',
    'CancelWatch',
    'Children',
    'FailedConnect',
    'LinkLoop',
    'NoNodeError',
    'Properties',
    'RegisteringServer',
    'Registration',
    'ZooKeeper',
    'creator_acl',
    'decode',
    'encode',
    'event',
    'join',
    'parse_addr',
]
