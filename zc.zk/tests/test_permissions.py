"""Access control lists as text."""
import pytest
from kazoo.security import OPEN_ACL_UNSAFE
from zc.zk.permissions import check_permission
from zc.zk.permissions import from_acl
from zc.zk.permissions import is_hidden
from zc.zk.permissions import to_acl
from zc.zk.permissions import world

TEXTS = ('world:anyone:cdrwa', 'digest:user:hash=:rw', 'ip:2001:db8::1:r',
         'auth::c', 'world:anyone:')


def test_acls_come_back():
    assert from_acl(to_acl(TEXTS)) == TEXTS
    assert to_acl(TEXTS[:1]) == OPEN_ACL_UNSAFE == world(31)
    assert from_acl(world(1)) == ('world:anyone:r',)


@pytest.mark.parametrize('text', ['', 'world', 'world:anyone', ':anyone:r',
                                  'world:anyone:x', 'world:anyone:R'])
def test_malformed_texts(text):
    with pytest.raises(ValueError, match='is not SCHEME:ID:PERMISSIONS'):
        check_permission(text)


def test_a_hidden_hash():
    assert is_hidden('user:x')
    assert not is_hidden('user:hash=')
    with pytest.raises(ValueError, match='the hash is not x'):
        check_permission('digest:user:x:r')
    check_permission('sasl:user:x:r')
