"""Access control lists as text: ``SCHEME:ID:PERMISSIONS``, as in zkCli.

The permissions are letters of ``cdrwa``: create, delete, read, write, admin
(ZooKeeper Programmer's Guide, "ZooKeeper access control using ACLs").
"""
from collections.abc import Iterable

from kazoo.security import ACL
from kazoo.security import Id

_LETTERS = 'rwcda'
_ORDER = 'cdrwa'
_BITS = {letter: 1 << bit for bit, letter in enumerate(_LETTERS)}


def check_permission(text: str) -> None:
    """Raise ValueError if `text` is not ``SCHEME:ID:PERMISSIONS``."""
    _read(text)


def to_acl(texts: Iterable[str], hidden: bool = False) -> list[ACL]:
    """Return kazoo's access control list for texts.

    Raise ValueError for a text that is not ``SCHEME:ID:PERMISSIONS``; and,
    unless `hidden` is true, for a hash that ZooKeeper has hidden.
    """
    return [_read(text, hidden) for text in texts]


def from_acl(acl: Iterable[ACL]) -> tuple[str, ...]:
    """Return the texts for kazoo's access control list."""
    return tuple(
        f'{entry.id.scheme}:{entry.id.id}:' + ''.join(
            letter for letter in _ORDER if entry.perms & _BITS[letter])
        for entry in acl)


def is_hidden(id_: str) -> bool:
    """Return whether an id is a digest whose hash ZooKeeper hides.

    Clients without the permission ADMIN are shown ``USER:x``.
    """
    return id_.endswith(':x')


def world(permissions: int) -> list[ACL]:
    """Return the list that gives `permissions`, a bit mask, to everyone."""
    return [ACL(permissions, Id('world', 'anyone'))]


def _read(text: str, hidden: bool = False) -> ACL:
    scheme, colon, rest = text.partition(':')
    id_, other, letters = rest.rpartition(':')
    if not (scheme and colon and other) or set(letters) - set(_LETTERS):
        raise ValueError(
            f'{text!r} is not SCHEME:ID:PERMISSIONS,'
            f' with permissions of {_ORDER}')
    if scheme == 'digest' and not hidden and is_hidden(id_):
        raise ValueError(
            f'{text!r}: the hash is not x: ZooKeeper hides it from clients'
            ' without the permission a')
    perms = 0
    for letter in letters:
        perms |= _BITS[letter]
    return ACL(perms, Id(scheme, id_))
