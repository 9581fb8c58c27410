"""Properties that follow their nodes, are written, and are links."""
import threading

import pytest
import zc.zk
from kazoo.exceptions import NoNodeError
from zc.zk.testing.waiting import wait_for


@pytest.fixture
def zk(zookeeper):
    with zc.zk.ZooKeeper(zookeeper.connection_string, 5.) as zk:
        zk.create('/service', zc.zk.encode(
            {'database': '/databases/main', 'threads': 1}))
        yield zk


@pytest.fixture
def make(zk):
    """Return a function that makes nodes: ``make('/a', {'x': 1})``."""
    def make(path, properties=None):
        zk.create(path, zc.zk.encode(properties or {}))
    return make


def test_properties_are_a_mapping(zk):
    properties = zk.properties('/service')
    assert properties['threads'] == 1
    assert dict(properties) == {'database': '/databases/main', 'threads': 1}
    assert sorted(properties) == ['database', 'threads']
    assert len(properties) == 2
    assert 'threads' in properties
    assert properties.get('nothing', 5) == 5
    with pytest.raises(KeyError, match='nothing'):
        properties['nothing']
    assert properties.copy() == dict(properties)


def test_properties_are_kept_up_to_date(zk):
    seen = []
    properties = zk.properties('/service')
    properties(lambda properties: seen.append(properties['threads']))
    zk.set('/service', b'{"threads": 2}')
    wait_for(lambda: seen == [1, 2])
    zk.set('/service', b'{"threads": 2}')  # written again all the same
    wait_for(lambda: seen == [1, 2, 2])
    assert properties['threads'] == 2


WRITES = [
    (lambda p: p.set(x=1), {'x': 1}),
    (lambda p: p.set({'x': 1}, x=2, y=3), {'x': 2, 'y': 3}),
    (lambda p: p.set([('x', 1)]), {'x': 1}),
    (lambda p: p.set(), {}),
    (lambda p: p.update(x=1), {'a': 0, 'b': 0, 'x': 1}),
    (lambda p: p.update({'b': 1}, a=2), {'a': 2, 'b': 1}),
    (lambda p: p.update([('b', 1)]), {'a': 0, 'b': 1}),
    (lambda p: p.__setitem__('a', 5), {'a': 5, 'b': 0}),
]


def test_writing(zk, make):
    for number, (write, expected) in enumerate(WRITES):
        path = f'/p{number}'
        make(path, {'a': 0, 'b': 0})
        properties = zk.properties(path)
        write(properties)
        assert dict(properties) == expected  # at once
        assert zk.get_properties(path) == expected


def test_callbacks_are_called_once_for_what_we_write(zk):
    seen = []
    properties = zk.properties('/service')
    properties(lambda properties: seen.append(properties['threads']))
    properties['threads'] = 2
    wait_for(lambda: seen == [1, 2])
    properties['threads'] = 3
    wait_for(lambda: seen == [1, 2, 3])


def test_update_loses_nothing_that_others_write(zk, zookeeper):
    with zc.zk.ZooKeeper(zookeeper.connection_string, 5.) as other:
        views = [zk.properties('/service'), other.properties('/service')]

        def write(index):
            for serial in range(20):
                views[index][f'{index}-{serial}'] = serial

        threads = [threading.Thread(target=write, args=[index])
                   for index in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(other.get_properties('/service')) == 42


def test_without_watching(zk):
    properties = zk.properties('/service', watch=False)
    with pytest.raises(TypeError, match='without watching'):
        properties(print)
    zk.set('/service', b'{"threads": 2}')
    assert properties['threads'] == 1
    properties['threads'] = 3
    assert properties['threads'] == 3
    assert zk.get_properties('/service') == {'threads': 3}


def test_properties_of_a_linked_node_can_be_written(zk, make):
    make('/lb')
    zk.ln('/service', '/lb/service')
    properties = zk.properties('/lb/service')
    properties['threads'] = 7
    assert zk.get_properties('/service')['threads'] == 7


def test_property_links(zk, make):
    make('/cms', {'threads =>': '/service threads', 'database =>': '/service'})
    properties = zk.properties('/cms')
    assert properties['threads'] == 1
    assert properties['threads =>'] == '/service threads'
    assert properties['database'] == '/databases/main'
    assert 'threads' in properties
    assert sorted(properties) == ['database', 'threads']
    assert len(properties) == 2
    assert dict(properties) == {'threads': 1, 'database': '/databases/main'}
    assert properties.copy() == {'threads =>': '/service threads',
                                 'database =>': '/service'}


def test_an_own_property_hides_a_link(zk, make):
    make('/cms', {'threads =>': '/service', 'threads': 5})
    properties = zk.properties('/cms')
    assert properties['threads'] == 5
    assert list(properties) == ['threads']


def test_relative_property_links(zk, make):
    make('/a', {'x': 2})
    make('/a/b')
    make('/a/b/c', {'x': 1})
    make('/a/c', {'x': 3})
    properties = zk.properties('/a/b')
    for link, value in [
            ('c x', 1), ('./c x', 1), ('.. x', 2), ('../c x', 3),
            ('./.. x', 2), ('./../c x', 3), ('.././c x', 3), ('../c', 3)]:
        properties['x =>'] = link
        assert (link, properties['x']) == (link, value)


def test_relative_to_the_node_that_has_the_link(zk, make):
    make('/a', {'x': 1})
    make('/a/b', {'x =>': '..'})
    make('/c', {'x': 2})
    zk.ln('/a/b', '/c/b')
    assert zk.properties('/c/b')['x'] == 1


def test_chains_of_property_links(zk, make):
    make('/a', {'x =>': '/b y'})
    make('/b', {'y =>': '/c z'})
    make('/c', {'z': 1})
    properties = zk.properties('/a')
    seen = []
    properties(lambda properties: seen.append(properties['x']))
    zk.set('/c', b'{"z": 2}')
    wait_for(lambda: seen == [1, 2])
    zk.set('/b', b'{"y": 3}')
    wait_for(lambda: seen == [1, 2, 3])


def test_changes_of_linked_nodes_call_callbacks(zk, make):
    make('/a', {'x =>': '/service threads'})
    seen = []
    properties = zk.properties('/a')
    properties(lambda properties: seen.append(properties['x']))
    zk.set('/service', b'{"threads": 2}')
    wait_for(lambda: seen == [1, 2])
    properties['x'] = 9  # no link any more
    wait_for(lambda: seen == [1, 2, 9])
    zk.set('/service', b'{"threads": 3}')
    properties['x'] = 10
    wait_for(lambda: seen == [1, 2, 9, 10])


def test_links_are_found_again_after_deletion(zk, make):
    make('/a')
    make('/a/b', {'x =>': '../c'})
    make('/a/c', {'x': 1})
    make('/d', {'x': 2})
    properties = zk.properties('/a/b')
    assert properties['x'] == 1
    zk.ln('/d', '/a/c')
    zk.delete('/a/c')
    wait_for(lambda: properties.get('x') == 2)


def test_a_link_to_a_node_that_does_not_exist_yet(zk, make, caplog):
    make('/a', {'x =>': '/later'})
    seen = []
    properties = zk.properties('/a')
    properties(lambda properties: seen.append('x' in properties))
    with pytest.raises(zc.zk.BadPropertyLink,
                       match='/a: x => /later: there is no node /later'):
        properties['x']
    assert 'Bad property link: /a: x => /later' in caplog.text
    make('/later', {'x': 1})
    wait_for(lambda: len(seen) == 2)
    assert properties['x'] == 1


BAD_LINKS = [
    ('/a/b', 'there is no node /a/b'),
    ('/service threads x', 'a link is a path'),
    ('', 'a link is a path'),
    (7, 'a link is a path'),
    ('/service color', '/service has no property color'),
    ('. x', 'links run in a circle: /p x, /p x'),
]


def test_bad_links(zk, make):
    make('/p')
    for link, why in BAD_LINKS:
        zk.set('/p', zc.zk.encode({'x =>': link}))
        properties = zk.properties('/p')
        with pytest.raises(zc.zk.BadPropertyLink, match=why):
            properties['x']


def test_link_loops(zk, make):
    make('/a', {'x =>': '../b x'})
    make('/b', {'x =>': '../a x'})
    with pytest.raises(zc.zk.BadPropertyLink,
                       match='circle: /a x, /b x, /a x'):
        zk.properties('/a')['x']


def test_properties_beside_a_bad_link_are_kept_up_to_date(zk, make):
    make('/p', {'x =>': '/nowhere', 'y': 1})
    properties = zk.properties('/p')
    zk.set('/p', zc.zk.encode({'x =>': '/nowhere', 'y': 2}))
    wait_for(lambda: properties['y'] == 2)
    assert properties == properties
    assert hash(properties) != hash(zk.properties('/p'))


def test_equality(zk, make):
    make('/p', {'threads =>': '/service', 'database =>': '/service'})
    properties = zk.properties('/p')
    assert properties == zk.properties('/service')
    assert properties == {'threads': 1, 'database': '/databases/main'}
    assert properties != {'threads': 2, 'database': '/databases/main'}
    assert properties != 1


@pytest.mark.parametrize('write', ['set', 'update'])
def test_bad_links_are_not_written(zk, write):
    before = zk.get_properties('/service')
    properties = zk.properties('/service')
    with pytest.raises(zc.zk.BadPropertyLink, match='/a/b/c'):
        getattr(properties, write)({'c =>': '/a/b/c d'}, a=1)
    assert dict(properties) == zk.get_properties('/service') == before


def test_other_properties_can_be_written_beside_a_bad_link(zk, make):
    make('/p', {'x =>': '/nowhere', 'y': 1})
    zk.properties('/p').update(y=2)
    assert zk.get_properties('/p') == {'x =>': '/nowhere', 'y': 2}


def test_deleted_nodes_cannot_be_written(zk):
    properties = zk.properties('/service')
    zk.delete('/service')
    with pytest.raises(NoNodeError, match='/service|^$'):
        properties['threads'] = 2
