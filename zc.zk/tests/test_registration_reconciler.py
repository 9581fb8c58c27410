"""What is made of nodes when answers are lost at the worst of moments.

No server can be brought to lose them in this order: the nodes are made up.
"""
import types

import pytest
from kazoo.exceptions import ConnectionLoss
from kazoo.protocol.states import ZnodeStat
from kazoo.security import OPEN_ACL_UNSAFE
from kazoo.security import READ_ACL_UNSAFE
from zc.zk.registration.ephemerals import Conflict
from zc.zk.registration.reconciler import Reconciler
from zc.zk.registration.reconciler import Record

SESSION = 7


class Nodes:
    """Nodes of one session; ``plan`` is what becomes of the next changes."""

    def __init__(self):
        self.data = {}
        self.changed = []
        self.plan = []

    def fetch_stats(self, paths, watch=True):
        found = ZnodeStat(0, 0, 0, 0, 0, 0, 0, SESSION, 0, 0, 0)
        return {path: found if path in self.data else None for path in paths}

    def commit(self, changes, acl):
        (self.plan.pop(0) if self.plan else self.apply)(list(changes))

    def apply(self, changes):
        for change in changes:
            self.data[change.path] = change.data
            self.changed.append(change.path)


@pytest.fixture
def nodes():
    return Nodes()


@pytest.fixture
def reconciler(nodes):
    return Reconciler(types.SimpleNamespace(client_id=(SESSION, b'')), nodes)


@pytest.mark.parametrize('acl', [OPEN_ACL_UNSAFE, READ_ACL_UNSAFE])
def test_who_of_two_attempts_has_created_it_is_not_guessed(
        nodes, reconciler, acl):
    record, late = Record('/p', '/p', ['a'], b'one', acl), []

    def is_late(changes):
        late.extend(changes)
        raise ConnectionLoss

    def comes_first(changes):
        nodes.apply(late)  # and these fail, of which nobody hears
        raise ConnectionLoss

    nodes.plan = [is_late, comes_first]
    for data in b'one', b'two':
        record.change(lambda old, data=data: data)
        with pytest.raises(ConnectionLoss):
            reconciler.reconcile(record)
    assert nodes.data == {'/p/a': b'one'}
    assert reconciler.reconcile(record)
    assert nodes.data == {'/p/a': b'two'}


@pytest.mark.parametrize('acl', [OPEN_ACL_UNSAFE, READ_ACL_UNSAFE])
def test_a_race_for_one_node_leaves_the_other_alone(nodes, reconciler, acl):
    def is_raced(changes):
        raise Conflict('/p/b')

    record = Record('/p', '/p', ['a', 'b'], b'one', acl)
    assert reconciler.reconcile(record)
    del nodes.data['/p/b']
    nodes.changed.clear()
    nodes.plan = [is_raced]
    assert reconciler.reconcile(record)
    assert nodes.changed == ['/p/b']
    assert nodes.data == {'/p/a': b'one', '/p/b': b'one'}
