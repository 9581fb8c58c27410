"""What the formats write, read by other parsers; hostile names and values."""
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zc.zk.follow.formats import FORMATS
from zc.zk.follow.formats.format import json_text
from zc.zk.follow.formats.nginx import NOBODY
from zc.zk.follow.upstream import Target
from zc.zk.follow.upstream import Upstream
from zc.zk.follow.upstream import check_name
from zc.zk.servers.server import make_servers


def make(format, targets, options='', name='cms', **state):
    upstream = Upstream(name, '/cms/providers', tuple(targets), **state)
    return FORMATS[format](options).render([upstream])


A = Target('a', '192.0.2.7', 41231)
B = Target('b', '2001:db8::7', 80, {'weight': 3})


# Parsers that know nothing of how the files are written.

def nginx_servers(text):
    """Tokens as nginx reads them: words, `;`, `{` and `}`; no quotes."""
    text = re.sub('#.*', '', text)
    assert not set('"\'\\$') & set(text)
    tokens = re.findall(r'[{};]|[^\s{};]+', text)
    found, depth, words = [], 0, []
    for token in tokens:
        if token == '{':
            assert depth == 0 and words[0] == 'upstream'
            depth, words = 1, []
        elif token == '}':
            assert depth == 1 and not words
            depth = 0
        elif token == ';':
            assert depth == 1
            if words[0] == 'server':
                found.append(words[1:])
            words = []
        else:
            words.append(token)
    assert depth == 0 and not words
    return [words for words in found if ' '.join(words) not in NOBODY]


def haproxy_servers(text):
    found = []
    for line in text.splitlines():
        line = line.split('#')[0]
        words = line.split()
        assert not set('"\'\\$') & set(line)
        assert not words or words[0] in ('backend', 'server')
        if words and words[0] == 'server':
            found.append(words[1:])
    return found


def addresses(format, text):
    if format == 'nginx':
        return [words[0] for words in nginx_servers(text)]
    if format == 'haproxy':
        return [words[1] for words in haproxy_servers(text)]
    data = json.loads(text, parse_constant=pytest.fail)
    if format == 'prometheus':
        return [address for group in data for address in group['targets']]
    if format == 'envoy':
        found = []
        for resource in data['resources']:
            for place in resource['endpoints']:
                for each in place['lb_endpoints']:
                    address = each['endpoint']['address']['socket_address']
                    host = address['address']
                    host = f'[{host}]' if ':' in host else host
                    found.append(f'{host}:{address["port_value"]}')
        return found
    if format == 'traefik':
        return [server['url'].removeprefix('http://')
                for service in data['http']['services'].values()
                for server in service['loadBalancer']['servers']]
    if format == 'caddy':
        return [each['dial'] for each in data['cms']]
    return [f'[{each["host"]}]:{each["port"]}' if ':' in each['host']
            else f'{each["host"]}:{each["port"]}'
            for each in data['cms']['servers']]


names = st.text() | st.sampled_from([
    '127.0.0.1:1; } server { listen 127.0.0.1:21571; location ~ . { return '
    '200 owned; } } upstream x { server 127.0.0.1:1',
    'add 127.0.0.1:9;show version', '127.0.0.1:80\n    server x 1.2.3.4:1',
    '127.0.0.1:80 weight=0', '"127.0.0.1":80', '[::1]:80#', '$host:80',
]) | st.from_regex(r'[0-9.:\[\];{}a ]{1,20}:[0-9]{1,5}', fullmatch=True)
good = st.builds('{}.{}.{}.{}:{}'.format, st.integers(1, 223),
                 st.integers(0, 255), st.integers(0, 255),
                 st.integers(0, 255), st.integers(1, 65535))
values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text()
    | st.integers() | st.sampled_from(
        ['1; } server {', '127.0.0.1:9100', '";drop', '\ud800']),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(), inner, max_size=3), max_leaves=5)
properties = st.dictionaries(
    st.text() | st.sampled_from(['weight', 'rack', 'password']),
    values, max_size=4)


@pytest.mark.parametrize('format', FORMATS)
@given(good=st.dictionaries(good, properties, max_size=5),
       bad=st.dictionaries(names, properties, max_size=5))
def test_a_file_has_exactly_the_good_servers(format, good, bad):
    servers, refused = make_servers([*good.items(), *bad.items()])
    targets = [Target(server.name, server.host, server.port,
                      server.properties) for server in servers.values()
               # Names of hosts are resolved before.
               if re.fullmatch(r'[0-9.]+|.*:.*', server.host)]
    text = make(format, targets)
    text.encode()  # no lone surrogates
    expected = [target.address for target in targets]
    if format in ('traefik', 'caddy'):
        expected = [target.address for target in targets if target.weight]
    if format == 'prometheus':
        data = json.loads(text)
        assert len(data) == len(targets)
        assert all(re.fullmatch('[0-9a-zA-Z.:\\[\\]-]+', group['targets'][0])
                   for group in data)
        for group in data:
            assert all(re.fullmatch('[a-zA-Z_][a-zA-Z0-9_]*', label)
                       and isinstance(value, str)
                       for label, value in group['labels'].items())
    else:
        assert addresses(format, text) == expected
    assert set(good) <= servers.keys() | refused.keys()


def test_nginx():
    assert make('nginx', [A, B]) == '''\
# Written by zookeeper_follow, which overwrites changes.
# From ZooKeeper: cms=/cms/providers

upstream cms {
    zone cms 64k;
    server 192.0.2.7:41231;
    server [2001:db8::7]:80 weight=3;
    keepalive 16;
}
'''


def test_nginx_options():
    text = make('nginx', [A, Target('c', '192.0.2.9', 1, {'weight': 0})],
                'max_fails=3 fail_timeout 5s balance=least_conn keepalive=0 '
                'zone=1m')
    assert '''\
upstream cms {
    zone cms 1m;
    least_conn;
    server 192.0.2.7:41231 max_fails=3 fail_timeout=5s;
    server 192.0.2.9:1 down max_fails=3 fail_timeout=5s;
}
''' in text
    # max_fails=0 would send requests to a killed server until it expires.
    with pytest.raises(ValueError, match="cannot be the value of 'max_fails'"):
        FORMATS['nginx']('max_fails=0')


def test_an_upstream_of_nginx_is_never_empty():
    assert NOBODY in make('nginx', [])


def test_haproxy():
    assert make('haproxy', [A, B], 'check inter 500 balance leastconn') == '''\
# Written by zookeeper_follow, which overwrites changes.
# From ZooKeeper: cms=/cms/providers

backend cms
    balance leastconn
    server 192.0.2.7:41231 192.0.2.7:41231 weight 1 check inter 500
    server _2001:db8::7_:80 [2001:db8::7]:80 weight 3 check inter 500
'''


def test_envoy():
    data = json.loads(make('envoy', [
        A, B, Target('c', '192.0.2.9', 1, {'weight': 0})]))
    resource, = data['resources']
    assert resource['@type'].endswith('.v3.ClusterLoadAssignment')
    assert resource['cluster_name'] == 'cms'
    first, second, third = resource['endpoints'][0]['lb_endpoints']
    assert first == {
        'endpoint': {'address': {'socket_address': {
            'address': '192.0.2.7', 'port_value': 41231}}},
        'load_balancing_weight': 1}
    assert second['load_balancing_weight'] == 3
    assert third['health_status'] == 'DRAINING'
    assert 'load_balancing_weight' not in third


def test_traefik():
    assert json.loads(make('traefik', [A, B],
                           'scheme https passHostHeader false')) == {
        'http': {'services': {'cms': {'loadBalancer': {
            'servers': [{'url': 'https://192.0.2.7:41231'},
                        {'url': 'https://[2001:db8::7]:80', 'weight': 3}],
            'passHostHeader': False}}}}}


def test_caddy():
    assert json.loads(make('caddy', [A, B])) == {
        'cms': [{'dial': '192.0.2.7:41231'}, {'dial': '[2001:db8::7]:80'}]}


def test_prometheus():
    target = Target('a:1', '192.0.2.7', 1, {
        'rack': 'A7', 'password': 'geheim', 'db': 'postgres://u:geheim@db',
        'my-name': 'x', 'list': [1], 'long': 'x' * 300, 'half': '\ud800',
        'pid': 7, 'on': True})
    assert json.loads(make('prometheus', [target], 'metrics-path /m')) == [{
        'targets': ['192.0.2.7:1'],
        'labels': {
            'service': 'cms', '__metrics_path__': '/m',
            '__meta_zookeeper_path': '/cms/providers',
            '__meta_zookeeper_name': 'a:1',
            '__meta_zookeeper_property_rack': 'A7',
            '__meta_zookeeper_property_my_name': 'x',
            '__meta_zookeeper_property_half': '?',
            '__meta_zookeeper_property_pid': '7',
            '__meta_zookeeper_property_on': 'true'}}]


@pytest.mark.parametrize('metrics, address', [
    ('192.0.2.7:9101', '192.0.2.7:9101'), ('[::0001]:1', '[::1]:1'),
    ('x"y:1', '192.0.2.7:41231'), (9101, '192.0.2.7:41231'),
    ('0.0.0.0:1', '192.0.2.7:41231'),
])
def test_the_property_metrics_is_an_address(metrics, address):
    target = Target('a', '192.0.2.7', 41231, {'metrics': metrics})
    group, = json.loads(make('prometheus', [target]))
    assert group['targets'] == [address]


def test_json():
    target = Target('a:1', '192.0.2.7', 1, {
        'password': 'geheim', 'nan': float('nan'), 'inner': {'token': 'x'}})
    text = make('json', [target], stale_since=12.5)
    assert 'geheim' not in text
    data = json.loads(text, parse_constant=pytest.fail)
    server, = data['cms']['servers']
    assert (server['host'], server['port']) == ('192.0.2.7', 1)
    assert server['properties']['nan'] is None
    assert data['cms']['connected'] is False
    assert data['cms']['since'] == 12.5
    assert data['cms']['path'] == '/cms/providers'
    assert json.loads(make('json', []))['cms']['connected'] is True


@pytest.mark.parametrize('value, weight', [
    (0, 0), (1, 1), (256, 256), (257, 1), (-1, 1), (True, 1), ('7', 1),
    (2.0, 1), (None, 1), ([], 1)])
def test_weights(value, weight):
    assert Target('a', '::1', 1, {'weight': value}).weight == weight


@pytest.mark.parametrize('format', FORMATS)
@pytest.mark.parametrize('options', [
    'nonsense', 'check=; server', 'max_conns=1;', 'inter 5s;', 'a\nb'])
def test_options_that_no_format_has(format, options):
    with pytest.raises(ValueError, match=r'no option|no value|cannot be'):
        FORMATS[format](options)


@pytest.mark.parametrize('format', FORMATS)
def test_no_pattern_of_an_option_lets_a_line_or_a_command_end(format):
    for name, word in FORMATS[format].words.items():
        assert re.fullmatch('[A-Za-z0-9_-]+', name)
        for sign in ';{}\n\r"\'#$\\ \t\0':
            assert word.value is None or not re.fullmatch(
                word.value, f'1{sign}')
            assert word.value is None or not re.fullmatch(
                word.value, f'/x{sign}y')


@pytest.mark.parametrize('options, why', [
    ('inter', 'needs a value'), ('check=1', 'has no value'),
    ('inter soon', 'cannot be the value'), ('"', 'quotation')])
def test_options_are_checked(options, why):
    with pytest.raises(ValueError, match=why):
        FORMATS['haproxy'](options)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=300),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each))


@given(value=VALUES)
def test_json_in_lines_is_the_same(value):
    text = json_text(value)
    assert json.loads(text) == value
    assert text.endswith('\n')


@pytest.mark.parametrize('format', ['envoy', 'traefik', 'caddy', 'prometheus',
                                    'json'])
def test_each_server_has_a_line(format):
    targets = [Target(f'127.0.0.1:{port}', '127.0.0.1', port, {'weight': 2})
               for port in range(2000, 2300)]
    before = make(format, targets).splitlines()
    after = make(format, targets[:100] + targets[101:]).splitlines()
    assert len(before) == len(after) + 1
    assert len([line for line in before if line not in after]) == 1


@pytest.mark.parametrize('name', ['', 'a b', 'a;b', '-a', 'a\n', 'x' * 101])
def test_names_of_services(name):
    assert check_name('cms-2.web_1') == 'cms-2.web_1'
    with pytest.raises(ValueError, match='cannot name a service'):
        check_name(name)


def test_a_path_cannot_end_the_comment():
    upstream = Upstream('x', '/a\nserver evil;', (A,))
    for format in 'nginx', 'haproxy':
        text = FORMATS[format]().render([upstream])
        assert 'x=/a\\nserver evil;\n' in text
        assert len(addresses(format, text)) == 1
