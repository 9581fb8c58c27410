"""Service registration, discovery, and trees of services in ZooKeeper.

Begin with `ZooKeeper`. `ZK` is the same class.
"""
from importlib import import_module
from typing import Any

# First: it imports kazoo, and without OpenSSL.
import zc.zk.connection.lateimport  # noqa: F401
from kazoo.exceptions import NoNodeError
from kazoo.security import OPEN_ACL_UNSAFE
from kazoo.security import READ_ACL_UNSAFE
from zc.zk import event
from zc.zk.addresses import parse_addr
from zc.zk.addresses import parse_server_addr
from zc.zk.client import ZK
from zc.zk.client import ZooKeeper
from zc.zk.client import creator_acl
from zc.zk.encoding import decode
from zc.zk.encoding import encode
from zc.zk.errors import BadPropertyLink
from zc.zk.errors import CancelWatch
from zc.zk.errors import FailedConnect
from zc.zk.errors import LinkLoop
from zc.zk.errors import UsedAfterFork
from zc.zk.event import RegisteringServer
from zc.zk.paths import join
from zc.zk.registration.registration import Registration
from zc.zk.watch.properties import Properties
from zc.zk.watch.views import Children

__all__ = [
    'OPEN_ACL_UNSAFE',
    'READ_ACL_UNSAFE',
    'ZK',
    'ApplyError',
    'BadPropertyLink',
    'CancelWatch',
    'Change',
    'Children',
    'FailedConnect',
    'LinkLoop',
    'NoNodeError',
    'Properties',
    'RegisteringServer',
    'Registration',
    'TreeError',
    'UsedAfterFork',
    'ZooKeeper',
    'creator_acl',
    'decode',
    'encode',
    'end_session',
    'event',
    'join',
    'parse_addr',
    'parse_server_addr',
    'parse_tree',
    'session_nodes',
]

#: The modules of names that are imported when they are first used: servers,
#: which only register, never use them.
_LATE_NAMES = {
    'ApplyError': 'zc.zk.sync.applier',
    'Change': 'zc.zk.sync.change',
    'TreeError': 'zc.zk.tree',
    'end_session': 'zc.zk.endsession',
    'session_nodes': 'zc.zk.endsession',
    'parse_tree': 'zc.zk.tree',
}


def __getattr__(name: str) -> Any:
    if name not in _LATE_NAMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(_LATE_NAMES[name]), name)
