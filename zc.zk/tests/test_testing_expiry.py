"""Test the end of sessions from the server's side."""
import socket

import pytest
from zc.zk.testing.expiry import expire_session


def test_session_that_is_gone_is_no_error(zookeeper, client):
    address = zookeeper.servers.address
    user = client()
    session = user.client_id
    user.stop()
    expire_session(address, *session)
    expire_session(address, *session)


def test_wrong_password_ends_nothing(zookeeper, client):
    user = client()
    user.create('/here', ephemeral=True)
    session = user.client_id[0]
    try:
        expire_session(zookeeper.servers.address, session, b'x' * 16, .3)
    except TimeoutError:
        pass  # a server may also close without an answer
    assert user.retry(user.exists, '/here')


def test_a_server_that_is_away_is_an_error():
    with socket.create_server(('127.0.0.1', 0)) as gone:
        address = gone.getsockname()
    with pytest.raises(TimeoutError, match='session 0x7b on'):
        expire_session(address, 123, b'', timeout=.05)


def test_others_keep_their_sessions(zookeeper, client):
    one, other = client(), client()
    other.create('/other', ephemeral=True)
    zookeeper.expire(one)
    assert other.exists('/other')
    assert other.connected
