"""Test the warning of sequential nodes that would get in the way."""
import pytest
from kazoo.exceptions import NodeExistsError
from zc.zk.sync import import_tree
from zc.zk.sync import plan
from zc.zk.sync.sequential import conflicts


def found(connection, text, **options):
    return list(conflicts(connection, plan(connection, text, **options)))


def test_names_that_zookeeper_would_give_again(zookeeper, client):
    connection = client()
    text = '/q\n  /lock-0000000002\n  /lock-0000000003\n  /x\n'
    assert found(connection, text) == [
        ('/q/lock-0000000003', '/q/lock-0000000003')]
    import_tree(connection, text)
    with pytest.raises(NodeExistsError):
        connection.create('/q/lock-', sequence=True)


def test_names_that_it_has_given_already(zookeeper, client):
    connection = client()
    connection.create('/q')
    for _ in range(3):
        connection.create('/q/n', sequence=True)
    text = '/q\n  /n0000000000\n  /n0000000001\n  /n0000000002\n'
    connection.delete('/q/n0000000002')
    assert found(connection, text) == []
    import_tree(connection, text)
    assert connection.create('/q/n', sequence=True) == '/q/n0000000004'
    assert found(connection, '/q\n  /n0000000099\n') == [
        ('/q/n0000000099', '/q/n0000000006')]
    # Deletions do not count.
    assert found(connection, '/q\n  /n0000000099\n', trim=True) == [
        ('/q/n0000000099', '/q/n0000000006')]


def test_other_names(zookeeper, client):
    assert found(client(), '/q\n  /000000009\n  /1234567890x\n') == []
    assert found(client(), '/q\n  /0000000009\n') == [
        ('/q/0000000009', '/q/0000000001')]
