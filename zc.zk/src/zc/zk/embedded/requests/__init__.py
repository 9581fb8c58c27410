"""Requests of a client in a session, by type: what answers each."""
from collections.abc import Callable

from zc.zk.embedded import jute
from zc.zk.embedded.database import Database
from zc.zk.embedded.errors import Refused
from zc.zk.embedded.protocol import Code
from zc.zk.embedded.protocol import Op
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
    Op.EXISTS: reads.exists,
    Op.GET_DATA: reads.get_data,
    Op.GET_ACL: reads.get_acl,
    Op.GET_CHILDREN: reads.get_children,
    Op.GET_CHILDREN2: reads.get_children2,
    Op.SYNC: reads.sync,
    Op.GET_EPHEMERALS: reads.get_ephemerals,
    Op.COUNT_DESCENDANTS: reads.count_descendants,
    Op.WHO_AM_I: reads.who_am_i,
    Op.MULTI: multi,
    Op.MULTI_READ: multi_read,
    Op.SET_WATCHES: watching.set_watches,
    Op.SET_WATCHES2: watching.set_watches2,
    Op.ADD_WATCH: watching.add_watch,
    Op.CHECK_WATCHES: watching.check_watches,
    Op.REMOVE_WATCHES: watching.remove_watches,
    Op.RECONFIG: _reconfig,
    Op.PING: _ping,
}
