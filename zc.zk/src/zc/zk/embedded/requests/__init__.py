"""Handlers of the requests of a session, by type."""
from collections.abc import Callable

from zc.zk.embedded import jute
from zc.zk.embedded.database import Database
from zc.zk.embedded.database import Requester
from zc.zk.embedded.errors import Refused
from zc.zk.embedded.protocol import Code
from zc.zk.embedded.protocol import OpCode
from zc.zk.embedded.requests import reads
from zc.zk.embedded.requests import watching
from zc.zk.embedded.requests.changes import CHANGES
from zc.zk.embedded.requests.changes import Step
from zc.zk.embedded.requests.multi import multi
from zc.zk.embedded.requests.multi import multi_read

#: Reads a request and returns the body of the reply, or raises Refused.
Handler = Callable[[Database, Requester, jute.Reader], bytes]


def _changing(parse: Callable[[jute.Reader], Step]) -> Handler:
    def handle(
        database: Database, client: Requester, reader: jute.Reader,
    ) -> bytes:
        return database.change(parse(reader), client)

    return handle


def _reconfig(
    database: Database, client: Requester, reader: jute.Reader,
) -> bytes:
    raise Refused(Code.RECONFIG_DISABLED)


def _ping(
    database: Database, client: Requester, reader: jute.Reader,
) -> bytes:
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
