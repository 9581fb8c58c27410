"""Run tests against ZooKeeper servers, real or embedded.

`setUp` and `tearDown` are for doctests and ``unittest``. The fixtures for
pytest are in ``zc.zk.testing.fixtures``.
"""
from zc.zk.testing.doctests import assert_
from zc.zk.testing.doctests import setUp
from zc.zk.testing.doctests import setup_tree
from zc.zk.testing.doctests import tearDown
from zc.zk.testing.doctests import testing_with_real_zookeeper
from zc.zk.testing.waiting import wait_for
from zc.zk.testing.waiting import wait_until

__all__ = ['assert_', 'setUp', 'setup_tree', 'tearDown',
           'testing_with_real_zookeeper', 'wait_for', 'wait_until']
