"""Requests of a client in a session, by type: what answers each."""
from collections.abc import Callable

from zc.zk.embedded import jute
from zc.zk.embedded.database import Database
from zc.zk.embedded.errors import Refused
from zc.zk.embedded.protocol import Code
from zc.zk.embedded.protocol import OpCode
from zc.zk.embedded.requests import reads
from zc.zk.embedded.requests import watching
from zc.zk.embedded.requests.changes import CHANGES
from zc.zk.embedded.requests.multi import multi
from zc.zk.embedded.requests.multi import multi_read

Handler = Callable[[Database, 'object', jute.Reader], bytes]


def _changing(parse) -> Handler:
    def handle(database, client, reader):
        return database.change(
            parse(reader), client.session.id, client.ids)

    return handle


def _reconfig(database, client, reader) -> bytes:
    raise Refused(Code.RECONFIG_DISABLED)


def _ping(database, client, reader) -> bytes:
    return b''


HANDLERS: dict[int, Handler] = {
    **{op: _changing(parse) for op, parse in CHANGES.items()},
    OpCode.EXISTS: reads.exists,
    OpCode.GET_DATA: reads.get_data,
    OpCode.GET_ACL: reads.get_acl,
    OpCode.GET_CHILDREN: reads.get_children,
    OpCode.GET_CHILDREN2: reads.get_children2,
    OpCode.SYNC: reads.sync,
    OpCode.GET_EPHEMERALS: reads.get_ephemerals,
    OpCode.COUNT_DESCENDANTS: reads.count_descendants,
    OpCode.WHO_AM_I: reads.who_am_i,
    OpCode.MULTI: multi,
    OpCode.MULTI_READ: multi_read,
    OpCode.SET_WATCHES: watching.set_watches,
    OpCode.SET_WATCHES2: watching.set_watches2,
    OpCode.ADD_WATCH: watching.add_watch,
    OpCode.CHECK_WATCHES: watching.check_watches,
    OpCode.REMOVE_WATCHES: watching.remove_watches,
    OpCode.RECONFIG: _reconfig,
    OpCode.PING: _ping,
}
