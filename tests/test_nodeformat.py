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


# What others read, by their sources; the tests of Prometheus run it itself.

def synapse_backend(name, data, endpoint=None):
    """Return what synapse makes of a node: (name, host, port, id).

    By airbnb/synapse, lib/synapse/service_watcher/zookeeper/zookeeper.rb:
    `nerve_decode` or, with an endpoint, `serverset_decode`;
    `parse_base64_encoded_prefix` and `parse_numeric_id_suffix`.
    """
    # What follows would be read in place of the data.
    assert not name.startswith('base64_')
    if endpoint == 'serviceEndpoint':
        found = data['serviceEndpoint'] | {'name': data.get('shard')}
    elif endpoint is not None:
        found = data['additionalEndpoints'][endpoint] | {
            'name': data.get('shard')}
    else:
        found = data
    last = name.split('_')[-1]
    # These take part in its choice of backends, and in HAProxy's lines.
    assert not found.keys() & {'labels', 'haproxy_server_options', 'weight'}
    return (found['name'], found['host'], found['port'],
            int(last) if last.isdigit() else None)


def test_synapse_reads_nerve(zookeeper, tree):
    name, data = registered(zookeeper, tree, node_format='nerve')
    host, port = name.split(':')
    assert synapse_backend(name, data) == (
        socket.gethostname(), host, int(port), None)


def test_synapse_reads_serversets(zookeeper, tree):
    name, data = registered(zookeeper, tree, node_format='serverset',
                            metrics='127.0.0.1:0')
    host, port = name.split(':')
    assert synapse_backend(name, data, 'serviceEndpoint') == (
        None, host, int(port), None)
    assert synapse_backend(name, data, 'metrics')[2] == int(
        data['metrics'].rpartition(':')[2])


def finagle_endpoints(data):
    """Return {name: (host, port)} as Finagle parses an entry.

    By twitter/finagle, finagle-serversets, serverset2/Entry.scala: endpoints
    without a text as host and an integer as port are dropped.
    """
    found = {None: data['serviceEndpoint'], **data['additionalEndpoints']}
    return {name: (endpoint['host'], endpoint['port'])
            for name, endpoint in found.items()
            if type(endpoint.get('host')) is str
            and type(endpoint.get('port')) is int}


def test_finagle_parses_serversets(zookeeper, tree):
    name, data = registered(zookeeper, tree, node_format='serverset',
                            metrics='127.0.0.1:0')
    found = {each: f'{host}:{port}' for each, (host, port) in
             finagle_endpoints(data).items()}
    assert found == {None: name, 'metrics': data['metrics']}
    assert data['status'] in ('DEAD', 'STARTING', 'ALIVE', 'STOPPING',
                              'STOPPED', 'WARNING', 'UNKNOWN')


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
