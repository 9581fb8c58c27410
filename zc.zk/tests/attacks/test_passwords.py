"""The session's password, which ends the session, is in no log."""
import logging
import struct
import traceback

import pytest
import zc.zk
from zc.zk.testing.waiting import wait_for
from zc_zk_support import corruption
from zc_zk_support.corruption import TO_CLIENT
from zc_zk_support.corruption import Corruption

#: What a server may answer to Connect, with the length of the frame.
ANSWERS = {
    'right': bytes,
    'password of length -1': corruption.overwrite(
        20, struct.pack('!i', -1)),
    'short password': corruption.overwrite(20, struct.pack('!i', 15)),
    'cut': corruption.shorten(30),
    'grown': corruption.grow(b'abc'),
}


@pytest.mark.parametrize('answer', ANSWERS)
def test_the_log_has_no_password(zookeeper, answer, caplog):
    caplog.set_level(1)
    passwords = set()
    with Corruption(zookeeper.connection_string) as proxy:
        with zc.zk.ZooKeeper(proxy.connection_string, 4.) as zk:
            passwords.add(bytes(zk.client.client_id[1]))
            proxy.arm(TO_CLIENT, ANSWERS[answer])
            proxy.reset()
            wait_for(lambda: proxy.spoiled and zk.client.connected)
            passwords.add(bytes(zk.client.client_id[1]))
            shown = repr([vars(zk.client), zk.client.client_id])
    # The first answer was honest, and had the password at its end.
    passwords |= {frame[24:40] for frame in proxy.spoiled}
    said = '\n'.join(map(logging.Formatter().format, caplog.records))
    said += repr([record.args for record in caplog.records]) + shown
    assert 'Using session_id' in said
    assert 'Sending request(xid=None): Connect(' in said
    for password in passwords:
        for text in (password.hex(), repr(password)[2:-1],
                     password.decode('latin-1')):
            assert text not in said


def test_a_traceback_with_local_variables_has_no_password(zookeeper):
    with zc.zk.ZooKeeper(zookeeper.connection_string) as zk:
        session, password = zk.client.client_id
        try:
            raise ValueError(zk.client.client_id, password)
        except ValueError as error:
            shown = ''.join(traceback.TracebackException.from_exception(
                error, capture_locals=True).format())
    assert 'password = ' in shown
    assert repr(bytes(password))[2:-1] not in shown
    assert bytes(password).hex() not in shown
