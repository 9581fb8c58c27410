"""Access control lists: who may do what to a node."""
import base64
import functools
import hashlib
import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

from zc.zk.embedded import jute
from zc.zk.embedded.errors import Refused
from zc.zk.embedded.protocol import Code

READ = 1
WRITE = 2
CREATE = 4
DELETE = 8
ADMIN = 16
ALL = 31


class Id(NamedTuple):
    """Somebody, in the terms of a scheme."""

    scheme: str
    id: str


class AclEntry(NamedTuple):
    """What somebody may do: a sum of permissions."""

    permissions: int
    id: Id


Acl = tuple[AclEntry, ...]

ANYONE = Id('world', 'anyone')
OPEN: Acl = (AclEntry(ALL, ANYONE),)
WORLD_READ: Acl = (AclEntry(READ, ANYONE),)


@functools.lru_cache(4096)
def _shared(acl: Acl) -> Acl:
    """The same object for equal lists: nodes have few different ones."""
    return OPEN if acl == OPEN else acl


def read(reader: jute.Reader) -> Acl:
    """The list in a request; the same entry twice counts once."""
    entries = {}
    for _ in range(reader.count()):
        permissions = reader.integer()
        scheme = reader.string()
        entries[AclEntry(permissions, Id(scheme, reader.string()))] = None
    return _shared(tuple(entries))


def pack(acl: Acl) -> bytes:
    """The list as a reply has it."""
    parts = [jute.INT.pack(len(acl))]
    for permissions, (scheme, name) in acl:
        parts.append(jute.INT.pack(permissions))
        parts.append(jute.string(scheme))
        parts.append(jute.string(name))
    return b''.join(parts)


def digest(credential: bytes) -> Id:
    """Who shows the credential USER:PASSWORD."""
    user = credential.partition(b':')[0].decode('utf-8', 'replace')
    hashed = base64.b64encode(hashlib.sha1(credential).digest()).decode()
    return Id('digest', f'{user}:{hashed}')


def resolve(acl: Acl, ids: Iterable[Id]) -> Acl:
    """The list to store: ``auth`` stands for who made the request."""
    if acl is OPEN:
        return acl
    resolved: dict[AclEntry, None] = {}
    for entry in acl:
        if entry.id.scheme == 'auth':
            mine = [AclEntry(entry.permissions, one) for one in ids
                    if one.scheme == 'digest']
            if not mine:
                raise Refused(Code.INVALID_ACL)
            resolved.update(dict.fromkeys(mine))
        elif _is_valid(entry.id):
            resolved[entry] = None
        else:
            raise Refused(Code.INVALID_ACL)
    if not resolved:
        raise Refused(Code.INVALID_ACL)
    return _shared(tuple(resolved))


def check(acl: Acl, permissions: int, ids: Iterable[Id]) -> None:
    """Refuse (no auth) who has none of the permissions."""
    if acl is not OPEN and not is_allowed(acl, permissions, ids):
        raise Refused(Code.NO_AUTH)


def is_allowed(acl: Acl, permissions: int, ids: Iterable[Id]) -> bool:
    """Whether one of the ids has one of the permissions."""
    return any(
        entry.id == ANYONE or any(_matches(entry.id, one) for one in ids)
        for entry in acl if entry.permissions & permissions)


def without_hashes(acl: Acl) -> Acl:
    """The list without the hashes, for who may read but not administer."""
    return tuple(
        AclEntry(permissions, Id(scheme, name.partition(':')[0] + ':x'))
        if scheme == 'digest' else AclEntry(permissions, Id(scheme, name))
        for permissions, (scheme, name) in acl)


def _is_valid(wanted: Id) -> bool:
    if wanted.scheme == 'digest':
        user, _, hashed = wanted.id.partition(':')
        return bool(hashed) and ':' not in hashed
    if wanted.scheme == 'ip':
        return _network(wanted.id) is not None
    return wanted == ANYONE


def _matches(wanted: Id, shown: Id) -> bool:
    if wanted.scheme != shown.scheme:
        return False
    if wanted.scheme == 'ip':
        network = _network(wanted.id)
        return (network is not None
                and ipaddress.ip_address(shown.id) in network)
    return wanted.id == shown.id


def _network(text: str) -> ipaddress.IPv4Network | None:
    # Before ZOOKEEPER-4240 (3.9.4) every IPv6 address is refused, so that a
    # tree with one would fail there.
    try:
        return ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        return None
