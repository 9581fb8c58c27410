"""Access control lists of nodes, and their check.

See "ZooKeeper access control using ACLs" in the ZooKeeper Programmer's Guide.
"""
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
    """An identity of a client: the scheme, and the name in that scheme."""

    scheme: str
    id: str


class AclEntry(NamedTuple):
    """The permissions of an identity, as a sum of bits."""

    permissions: int
    id: Id


Acl = tuple[AclEntry, ...]

ANYONE = Id('world', 'anyone')
OPEN: Acl = (AclEntry(ALL, ANYONE),)
WORLD_READ: Acl = (AclEntry(READ, ANYONE),)


@functools.lru_cache(4096)
def _shared(acl: Acl) -> Acl:
    """Return the same object for equal lists: most nodes share a few."""
    return OPEN if acl == OPEN else acl


def read(reader: jute.Reader) -> Acl:
    """Return the list of a request, without repeated entries."""
    entries: dict[AclEntry, None] = {}
    for _ in range(reader.count()):
        permissions = reader.integer()
        scheme = reader.string()
        entries[AclEntry(permissions, Id(scheme, reader.string()))] = None
    return _shared(tuple(entries))


def pack(acl: Acl) -> bytes:
    """Return the list as the bytes of a reply."""
    parts = [jute.INT.pack(len(acl))]
    for permissions, (scheme, name) in acl:
        parts.append(jute.INT.pack(permissions))
        parts.append(jute.string(scheme))
        parts.append(jute.string(name))
    return b''.join(parts)


def digest(credential: bytes) -> Id:
    """Return the identity of a client with the credential USER:PASSWORD."""
    user = credential.partition(b':')[0].decode('utf-8', 'replace')
    hashed = base64.b64encode(hashlib.sha1(credential).digest()).decode()
    return Id('digest', f'{user}:{hashed}')


def resolve(acl: Acl, ids: Iterable[Id]) -> Acl:
    """Return the list to store: `ids`, of the client, stand for ``auth``.

    Raise Refused (INVALID_ACL) for an empty or invalid list.
    """
    if acl is OPEN:
        return acl
    resolved: dict[AclEntry, None] = {}
    for entry in acl:
        if entry.id.scheme == 'auth':
            mine = [AclEntry(entry.permissions, identity) for identity in ids
                    if identity.scheme == 'digest']
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
    """Raise Refused (NO_AUTH) unless `ids` have one of the permissions."""
    if acl is not OPEN and not is_allowed(acl, permissions, ids):
        raise Refused(Code.NO_AUTH)


def is_allowed(acl: Acl, permissions: int, ids: Iterable[Id]) -> bool:
    """Return whether one of `ids` has one of the permissions."""
    return any(
        entry.id == ANYONE
        or any(_matches(entry.id, identity) for identity in ids)
        for entry in acl if entry.permissions & permissions)


def without_hashes(acl: Acl) -> Acl:
    """Return the list as clients without ADMIN see it: hashes are ``x``."""
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
    # Servers before ZOOKEEPER-4240 (3.9.4) refuse IPv6 addresses. A tree with
    # one is refused here, too, so that it does not fail only there.
    try:
        return ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        return None
