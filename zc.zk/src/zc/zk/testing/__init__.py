"""Run tests against ZooKeeper servers, real or embedded.

`setUp` and `tearDown` are for doctests and ``unittest``. The fixtures for
pytest are in ``zc.zk.testing.fixtures``.
"""
from zc.zk.testing.doctests import setUp
from zc.zk.testing.doctests import tearDown
from zc.zk.testing.waiting import wait_for

__all__ = ['setUp', 'tearDown', 'wait_for']
