"""What kazoo logs: no secrets, and each message once a minute."""
import logging

import zc.zk
from zc.zk.connection import logs
from zc_zk_support.connecting import SECRET
from zc_zk_support.connecting import fails


def test_trouble_is_not_logged_every_second(nobody, caplog):
    caplog.set_level(logging.INFO)
    fails(nobody, wait=iter([True] * 15 + [False]).__next__)
    said = [record for record in caplog.records if record.name.startswith(
                'kazoo') and 'onnect' in record.message]
    assert len(said) < 8


def test_repetitions_are_logged_after_a_minute_and_after_a_reset(
        monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    now = [1000.]
    monkeypatch.setattr(logs.time, 'monotonic', lambda: now[0])
    quiet = logs.RateLimitedLogger(logging.getLogger('quiet'))

    def count():
        quiet.warning('trouble %s', now[0])
        return len(caplog.records)

    assert [count(), count()] == [1, 1]
    now[0] += 61
    assert [count(), count()] == [2, 2]
    quiet.reset()
    assert [count(), count()] == [3, 3]


def test_credentials_are_not_shown(zookeeper, caplog, no_leaks):
    caplog.set_level(1)
    with zc.zk.ZooKeeper(zookeeper.connection_string,
                         auth=[('digest', f'me:{SECRET}')]) as zk:
        zk.exists('/')
        shown = repr([zk, zk.client.auth_data, vars(zk), vars(zk.client)])
    assert 'Sending request' in caplog.text
    assert "'digest', '<hidden>'" in shown
    assert SECRET not in shown + caplog.text
