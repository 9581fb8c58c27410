"""Put changes in an order in which access control lists allow them.

A node's children are created and deleted, and its data is set, by the rights
that its ACL gives us. An ACL that does not give a right is therefore set after
the changes that need it. A new node whose ACL would not let us create its
children gets two more rights for us until then: CREATE, and ADMIN to take both
away again.

Which identities are ours is known for ``world`` and for digests. Whether an
entry of another scheme (ip, sasl, x509) is about us, only the server knows.
"""
from collections.abc import Callable
from collections.abc import Iterable

from kazoo.client import KazooClient
from kazoo.security import make_digest_acl_credential
from zc.zk.paths import split
from zc.zk.sync.change import ADD_NODE
from zc.zk.sync.change import CHANGE_ACL
from zc.zk.sync.change import DELETE_NODE
from zc.zk.sync.change import Change

#: An access control list, of texts ``SCHEME:ID:PERMISSIONS``.
ACLTexts = tuple[str, ...]

_WORLD = 'world:anyone'

# The identities that have authenticated themselves; ZooKeeper puts theirs in
# its place.
_AUTHENTICATED = 'auth:'

_KNOWN_SCHEMES = frozenset({'world', 'auth', 'digest'})

_OF_NODES = frozenset({ADD_NODE, DELETE_NODE, CHANGE_ACL})


def identities(client: KazooClient) -> frozenset[str]:
    """Return the identities of a client, texts ``SCHEME:ID``."""
    ours = {_WORLD}
    for scheme, credential in client.auth_data:
        ours.add(_AUTHENTICATED)
        if scheme == 'digest':
            user, _, password = str(credential).partition(':')
            ours.add('digest:' + make_digest_acl_credential(user, password))
    return frozenset(ours)


def in_order(changes: list[Change], ours: frozenset[str],
             stated: Callable[[str], ACLTexts | None] = lambda path: None
             ) -> list[Change]:
    """Return the changes, and more changes of ACLs, in a possible order.

    `changes` are those of `diff.plan`, `ours` those of `identities`. `stated`
    returns the ACL of an existing node if the wanted tree states the same
    one, else None. ACLs that give us a right come first, any others last;
    those that take a right away after all others, children before parents.
    """
    needs = _needs(changes)
    giving: list[Change] = []
    others: list[Change] = []
    neutral: list[Change] = []
    taking: list[Change] = []

    def widen(path: str, old: ACLTexts, new: ACLTexts) -> Change:
        """Return a change to `new` with what we need; take that away last."""
        wider = (*new, _right_of_us({*needs[path], 'a'}, ours))
        taking.append(Change(CHANGE_ACL, path, old=wider, new=new))
        return Change(CHANGE_ACL, path, old=old, new=wider)

    with_list = {change.path for change in changes
                 if change.kind in (ADD_NODE, CHANGE_ACL)}
    for path in sorted(needs.keys() - with_list):
        acl = stated(path)
        if acl is not None and not _grants(acl, needs[path], ours) and (
                _grants(acl, {'a'}, ours)):
            giving.append(widen(path, acl, acl))
    for change in changes:
        need = needs.get(change.path)
        if change.kind == CHANGE_ACL:
            old, new = change.old, change.new
            if not need:
                neutral.append(change)
            elif _grants(new, need, ours):
                giving.append(change)
            elif _grants(old, need, ours):
                taking.append(change)
            elif _grants(old, {'a'}, ours):
                giving.append(widen(change.path, old, new))
            elif _may_grant(new, need, ours):
                giving.append(change)
            else:
                taking.append(change)
        elif need and change.kind == ADD_NODE and change.acl is not None and (
                not _grants(change.acl, need, ours)):
            wider = widen(change.path, (), change.acl)
            others.append(change._replace(acl=wider.new))
        else:
            others.append(change)
    return giving + others + neutral + taking[::-1]


def _needs(changes: Iterable[Change]) -> dict[str, set[str]]:
    """Return the letters of the rights that changes need, by node."""
    needs: dict[str, set[str]] = {}
    for change in changes:
        if change.kind in (ADD_NODE, DELETE_NODE):
            parent = split(change.path)[0]
            letter = 'c' if change.kind == ADD_NODE else 'd'
            needs.setdefault(parent, set()).add(letter)
        elif change.kind not in _OF_NODES and not change.is_note:
            needs.setdefault(change.path, set()).add('w')
    return needs


def _grants(acl: Iterable[str], need: set[str],
            ours: frozenset[str]) -> bool:
    """Return whether an ACL certainly gives us all rights of `need`."""
    return need <= _letters(acl, ours, False)


def _may_grant(acl: Iterable[str], need: set[str],
               ours: frozenset[str]) -> bool:
    """Return whether it does if all unknown identities are ours."""
    return need <= _letters(acl, ours, True)


def _letters(acl: Iterable[str], ours: frozenset[str],
             is_hopeful: bool) -> set[str]:
    letters: set[str] = set()
    for entry in acl:
        identity, _, permissions = entry.rpartition(':')
        scheme = identity.partition(':')[0]
        if (identity in ours or scheme == 'auth' and _AUTHENTICATED in ours
                or is_hopeful and scheme not in _KNOWN_SCHEMES):
            letters.update(permissions)
    return letters


def _right_of_us(letters: set[str], ours: frozenset[str]) -> str:
    identity = _AUTHENTICATED if _AUTHENTICATED in ours else _WORLD
    return f'{identity}:{"".join(sorted(letters, key="cdrwa".index))}'
