"""Numbers and structures of ZooKeeper's wire protocol.

The names of codes are those of Java's ZooDefs.OpCode, KeeperException.Code and
Watcher.Event.EventType, or shorter.
"""
import struct

#: The default of jute.maxbuffer (ZooKeeper Administrator's Guide).
MAX_FRAME_BYTES = 0xfffff

#: The longest first frame of a connection. It has 44 or 45 bytes.
MAX_CONNECT_BYTES = 1024

REPLY = struct.Struct('>iqi')
STAT = struct.Struct('>qqqqiiiqiiq')
MULTI_HEADER = struct.Struct('>i?i')
EVENT = struct.Struct('>ii')


class OpCode:
    """Types of requests (ZooDefs.OpCode)."""

    CREATE = 1
    DELETE = 2
    EXISTS = 3
    GET_DATA = 4
    SET_DATA = 5
    GET_ACL = 6
    SET_ACL = 7
    GET_CHILDREN = 8
    SYNC = 9
    PING = 11
    GET_CHILDREN2 = 12
    CHECK = 13
    MULTI = 14
    CREATE2 = 15
    RECONFIG = 16
    CHECK_WATCHES = 17
    REMOVE_WATCHES = 18
    CREATE_CONTAINER = 19
    CREATE_TTL = 21
    MULTI_READ = 22
    AUTH = 100
    SET_WATCHES = 101
    GET_EPHEMERALS = 103
    COUNT_DESCENDANTS = 104
    SET_WATCHES2 = 105
    ADD_WATCH = 106
    WHO_AM_I = 107
    CLOSE = -11
    ERROR = -1  # in replies to MULTI and MULTI_READ only


class Xid:
    """Request numbers (xid) that have a meaning of their own."""

    EVENT = -1
    PING = -2
    AUTH = -4


class Code:
    """Results of requests (KeeperException.Code)."""

    OK = 0
    SYSTEM_ERROR = -1
    RUNTIME_INCONSISTENCY = -2
    MARSHALLING_ERROR = -5
    UNIMPLEMENTED = -6
    BAD_ARGUMENTS = -8
    NO_NODE = -101
    NO_AUTH = -102
    BAD_VERSION = -103
    NO_CHILDREN_FOR_EPHEMERALS = -108
    NODE_EXISTS = -110
    NOT_EMPTY = -111
    SESSION_EXPIRED = -112
    INVALID_ACL = -114
    AUTH_FAILED = -115
    NO_WATCHER = -121
    RECONFIG_DISABLED = -123


class EventType:
    """Types of watch events (Watcher.Event.EventType)."""

    CREATED = 1
    DELETED = 2
    CHANGED = 3
    CHILDREN = 4

    STATE_CONNECTED = 3  # KeeperState.SyncConnected, in every event
