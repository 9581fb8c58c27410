"""What ZooKeeper keeps of a node beside its data: session, versions, times.

The names are those of ZooKeeper (Programmer's Guide, "ZooKeeper Stat
Structure").
"""
import datetime

from kazoo.protocol.states import ZnodeStat

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def stat_text(stat: ZnodeStat) -> str:
    """Return one line for operators; the session for ephemeral nodes only."""
    text = (f'version {stat.version}, ACL version {stat.aversion},'
            f' created {_time(stat.ctime)}, changed {_time(stat.mtime)}')
    if stat.ephemeralOwner:
        text = f'session {stat.ephemeralOwner:#x}, {text}'
    return text


def stat_fields(stat: ZnodeStat) -> dict[str, object]:
    """Return a dictionary for `json`.

    Zxids and the session are hexadecimal texts, as zkCli.sh shows them: JSON
    numbers lose digits beyond 2**53. Times are ISO 8601 texts, in UTC.
    """
    return {
        'czxid': hex(stat.czxid), 'mzxid': hex(stat.mzxid),
        'pzxid': hex(stat.pzxid), 'ctime': _time(stat.ctime),
        'mtime': _time(stat.mtime), 'version': stat.version,
        'cversion': stat.cversion, 'aversion': stat.aversion,
        'ephemeralOwner': hex(stat.ephemeralOwner),
        'dataLength': stat.dataLength, 'numChildren': stat.numChildren,
    }


def _time(milliseconds: int) -> str:
    """Return a time of ZooKeeper's, milliseconds since 1970, as ISO 8601."""
    try:
        moment = _EPOCH + datetime.timedelta(milliseconds=milliseconds)
    except OverflowError:
        return f'{milliseconds} ms'
    return moment.isoformat(timespec='milliseconds').replace('+00:00', 'Z')
