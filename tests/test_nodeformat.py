"""Nodes that others can read: nerve's and Finagle's properties."""
from __future__ import annotations

import json
import socket

import pytest
from zkzopeserver_support.running import PATH
from zkzopeserver_support.running import running

from zc.zkzopeserver import nodeformat


def registered(zookeeper, tree, **options):
    """Return (name, data) of the node of a server."""
    with running(zookeeper, **options):
        [name] = tree.get_children(PATH)
        return name, json.loads(tree.get(f'{PATH}/{name}')[0])


def test_plain(zookeeper, tree):
    _, data = registered(zookeeper, tree)
    assert set(data) == {'pid'}


def test_nerve(zookeeper, tree):
    name, data = registered(zookeeper, tree, node_format='nerve',
                            metrics='127.0.0.1:0')
    assert data.keys() == {'pid', 'metrics', 'host', 'port', 'name'}
    assert f'{data["host"]}:{data["port"]}' == name
    # Go's decoder takes a number alone.
    assert type(data['port']) is int
    assert data['name'] == socket.gethostname()


def test_serverset(zookeeper, tree):
    name, data = registered(zookeeper, tree, node_format='serverset',
                            metrics='127.0.0.1:0',
                            monitor_server='127.0.0.1:0')
    host, port = name.split(':')
    assert data['serviceEndpoint'] == {'host': host, 'port': int(port)}
    assert data['status'] == 'ALIVE'
    assert {name: '{host}:{port}'.format(**endpoint) for name, endpoint in
            data['additionalEndpoints'].items()} == {
                'metrics': data['metrics'], 'monitor': data['monitor']}


@pytest.mark.parametrize('address, monitor, metrics, expected', [
    (('::1', 80), None, None, {'host': '::1', 'port': 80}),
    (('www.example.com', 80), '/run/m.sock', ('', 9101),
     {'host': 'www.example.com', 'port': 80, 'monitor': '/run/m.sock',
      'metrics': 'www.example.com:9101'}),
    (('192.0.2.7', 80), ('0.0.0.0', 9), ('::1', 7),
     {'host': '192.0.2.7', 'port': 80, 'monitor': '192.0.2.7:9',
      'metrics': '[::1]:7'}),
])
def test_addresses(address, monitor, metrics, expected):
    found = nodeformat.properties('nerve', address, monitor, metrics)
    assert found.pop('name') == socket.gethostname()
    assert found == expected


def test_all_interfaces_are_shown_as_the_first_address():
    found = nodeformat.properties('nerve', ('', 80), None, ('', 81))
    assert found['host'] not in ('', '0.0.0.0')
    assert found['metrics'] == f'{found["host"]}:81'
