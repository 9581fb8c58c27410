"""Prometheus finds our servers and reads them: workers, rolls, nerve."""
from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from zc.zk.testing.clients import start_client
from zc.zk.testing.clients import stop_client
from zc.zk.testing.development import Embedded
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support import processes
from zkzopeserver_support import prometheus
from zkzopeserver_support.running import PATH
from zkzopeserver_support.running import get
from zkzopeserver_support.scraping import exchange
from zkzopeserver_support.scraping import scrape

ECHO = 'call:zkzopeserver_support.echo:make_echo'
OWN = 'call:zkzopeserver_support.prometheus_site:make_site'
FOLLOW = 'from zc.zk.scripts.zookeeper_follow import main; main()'
DOC = Path(__file__).parents[2] / 'doc' / 'prometheus'
# Far more than the 7 s that it takes on a machine that is not busy.
LONG_S = 60


@contextlib.contextmanager
def following(zookeeper, folder: Path) -> Iterator[Path]:
    """Have zookeeper_follow keep a file of targets; yield its path."""
    file = folder / 'targets.json'
    process = processes.Process([
        sys.executable, '-c', FOLLOW, zookeeper.connection_string, PATH,
        '--format', 'prometheus', '-o', str(file)], folder)
    try:
        wait_for(file.exists, 30, lambda: process.output)
        yield file
    finally:
        process.close()


def metrics_of(nodes: dict[str, dict]) -> set[str]:
    return {data['metrics'] for data in nodes.values()}


def targets_are(found: prometheus.Prometheus, addresses: set[str]) -> None:
    """Wait until Prometheus has read these targets, and has no other."""
    wait_for(lambda: found.targets() == dict.fromkeys(addresses, 'up'),
             LONG_S, lambda: f'{addresses}; there are {found.targets()}')


def test_a_roll_of_four_workers(zookeeper, tree, tmp_path):
    prometheus.tool('prometheus')
    ini = processes.write_ini(tmp_path, zookeeper.connection_string, ECHO,
                              workers='4', metrics='127.0.0.1:0')
    with (processes.started(ini) as server,
          following(zookeeper, tmp_path) as file,
          prometheus.running(tmp_path, '  file_sd_configs:\n'
                             f'  - files: [{file}]') as found):
        before = metrics_of(processes.registered(tree, server, count=4))
        assert len(before) == 4
        targets_are(found, before)
        for name in tree.get_children(PATH):
            assert get(name)[0] == 200
        # Each worker counts for itself.
        for address in before:
            wait_for(lambda: scrape(address)[  # noqa: B023
                'zkzopeserver_requests_total',
                'method="GET",status="2xx"'] == 1)
        wait_for(lambda: found.query(
            'sum by (instance) (zkzopeserver_requests_total)')
            == dict.fromkeys(before, 1), LONG_S)
        server.insist(signal.SIGHUP, 'rolling restart')
        wait_for(lambda: 'rolling restart done' in server.output, LONG_S,
                 lambda: server.output)
        after = metrics_of(processes.registered(tree, server, count=4))
        targets_are(found, after)
        wait_for(lambda: set(found.query(
            'zkzopeserver_registration_state{state="registered"} == 1'))
            >= after, LONG_S)
        ups = found.ups()
        assert set(ups) == before | after
        for address in before:
            # It is stopped at the end, and its target may be there still.
            assert '00' not in ups[address].rstrip('0'), ups
        for address in after:
            assert '00' not in ups[address], ups
        assert server.stopped() == 0


@pytest.mark.parametrize('node_format, discovery', [
    ('nerve', '  nerve_sd_configs:\n'
     '  - servers: ["{}"]\n    paths: ["{}"]\n'),
    ('serverset', '  serverset_sd_configs:\n'
     '  - servers: ["{}"]\n    paths: ["{}"]\n'
     '  relabel_configs:\n'
     '  - source_labels: [__meta_serverset_endpoint_host_metrics,\n'
     '                    __meta_serverset_endpoint_port_metrics]\n'
     '    separator: ":"\n'
     '    target_label: __address__\n'),
])
def test_prometheus_reads_nodes_with_nothing_between(
        zookeeper, tree, tmp_path, node_format, discovery):
    prometheus.tool('prometheus')
    # Prometheus' client knows no chroot.
    path = zookeeper.chroot + PATH
    ini = processes.write_ini(
        tmp_path, zookeeper.connection_string, OWN, workers='2',
        node_format=node_format, metrics='127.0.0.1:0')
    with (processes.started(ini) as server,
          prometheus.running(tmp_path, discovery.format(
              zookeeper.hosts, path)) as found):
        nodes = processes.registered(tree, server, count=2)
        expected = (set(nodes) if node_format == 'nerve'
                    else metrics_of(nodes))
        metric = ('site_up' if node_format == 'nerve'
                  else 'zkzopeserver_threads')
        wait_for(lambda: set(found.query(f'{metric} == 1')) == expected,
                 LONG_S, lambda: f'{expected}: {found.targets()}')
        assert server.stopped() == 0
        wait_for(lambda: not found.targets(), LONG_S, found.targets)


# The dashboard and the alerts of the documents.

def promtool(*arguments: str) -> None:
    """Run promtool; fail with what it says."""
    found = subprocess.run([prometheus.tool('promtool'), *arguments],
                           capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_alerts_do_as_their_tests_say():
    promtool('check', 'rules', str(DOC / 'alerts.yml'))
    promtool('test', 'rules', str(DOC / 'alerts_test.yml'))


PANELS = json.loads((DOC / 'dashboard.json').read_text())['panels']


def expressions(panels: list[dict]) -> list[str]:
    """Return the queries of panels, with values for their variables."""
    return [target['expr'].replace('$__rate_interval', '1m')
            .replace('$job', '.+').replace('$instance', '.+')
            for panel in panels for target in panel['targets']]


def test_the_queries_of_the_dashboard_are_right(tmp_path):
    file = tmp_path / 'rules.yml'
    # JSON is YAML.
    file.write_text(json.dumps({'groups': [{'name': 'dashboard', 'rules': [
        {'record': f'query:{number}', 'expr': text}
        for number, text in enumerate(expressions(PANELS))]}]}))
    promtool('check', 'rules', str(file))


@pytest.fixture(scope='module')
def busy(tmp_path_factory):
    """A Prometheus that scrapes a server, which has all kinds of requests."""
    prometheus.tool('prometheus')
    folder = tmp_path_factory.mktemp('busy')
    with Embedded(tmp_path_factory.mktemp('embedded')) as embedded:
        client = start_client(embedded.connection_string)
        client.ensure_path(PATH)
        ini = processes.write_ini(
            folder, embedded.connection_string, ECHO, metrics='127.0.0.1:0')
        with processes.started(ini) as server:
            [(name, data)] = processes.registered(client, server).items()
            with prometheus.running(
                    folder, '  static_configs:\n'
                    f'  - targets: ["{data["metrics"]}"]') as found:
                yield found, name
            assert server.stopped() == 0
        stop_client(client)


# What values make sense, by the unit of a panel.
SENSIBLE = {
    'short': lambda value: 0 <= value <= 2000,
    'reqps': lambda value: 0 <= value < 10_000,
    # One processor at least, and some more.
    'percentunit': lambda value: 0 <= value < 16,
    's': lambda value: 0 <= value < 600,
    'Bps': lambda value: 0 < value < 2 ** 30,
    'bytes': lambda value: 2 ** 22 < value < 2 ** 32,
}


@pytest.mark.parametrize('panel', PANELS, ids=lambda panel: panel['title'])
def test_each_panel_has_something_to_show(busy, panel):
    found, name = busy
    is_sensible = SENSIBLE[panel['fieldConfig']['defaults']['unit']]
    for text in expressions([panel]):
        def has_values() -> bool:
            # Rates want requests between two scrapes.
            assert get(name)[0] == 200
            exchange(name, b'POST / HTTP/1.1\r\nHost: x\r\n'
                     b'Content-Length: 5\r\nConnection: close\r\n\r\nhello')
            exchange(name, b'no request\r\n\r\n')
            values = found.values(text)  # noqa: B023
            # NaN is a rate of nothing, yet.
            return bool(values) and all(map(is_sensible, values))
        wait_for(has_values, LONG_S,
                 lambda: f'{text}: {found.values(text)}')  # noqa: B023


@pytest.mark.parametrize('title, expected', [
    ('Servers registered', 1), ('Not registered', 0), ('Down', 0),
    ('Threads busy', 0), ('Errors', 0)])
def test_the_figures_at_the_top_are_true(busy, title, expected):
    found, name = busy
    [panel] = [each for each in PANELS if each['title'] == title]
    [text] = expressions([panel])

    def is_true() -> bool:
        assert get(name)[0] == 200
        return found.values(text) == [expected]
    wait_for(is_true, LONG_S, lambda: f'{text}: {found.values(text)}')


def test_dashboard_and_alerts_ask_for_what_there_is(
        embedded, tmp_path):
    embedded.zk.client.ensure_path(PATH)
    ini = processes.write_ini(tmp_path, embedded.connection_string,
                              metrics='127.0.0.1:0')
    with processes.started(ini) as server:
        [data] = processes.registered(embedded.zk.client, server).values()
        there = {name for name, _ in scrape(data['metrics'])}
        assert server.stopped() == 0
    asked = set(re.findall(
        r'\b(?:zkzopeserver|process)_\w+',
        ' '.join([*expressions(PANELS), (DOC / 'alerts.yml').read_text()])))
    assert asked <= there
    # Each of ours that is no detail of a histogram is in one of them.
    ours = {name for name in there if name.startswith('zkzopeserver_')
            and not name.endswith(('_sum', '_count'))}
    assert ours - asked == {'zkzopeserver_connections_accepted_total'}


def test_the_board_has_places_for_all_panels():
    board = json.loads((DOC / 'dashboard.json').read_text())
    taken: set[tuple[int, int]] = set()
    for panel in board['panels']:
        place = panel['gridPos']
        cells = {(place['x'] + x, place['y'] + y)
                 for x in range(place['w']) for y in range(place['h'])}
        assert not cells & taken, panel['title']
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel['id'] for panel in board['panels']}) == len(
        board['panels'])


def test_legends_have_what_grafanas_schema_requires():
    legends = [panel['options']['legend'] for panel in PANELS
               if panel['type'] == 'timeseries']
    assert legends
    assert all({'showLegend', 'calcs', 'displayMode', 'placement'} <= set(
        legend) for legend in legends)


def test_the_files_are_where_packages_have_them():
    assert sorted(os.listdir(DOC)) == ['alerts.yml', 'alerts_test.yml',
                                       'dashboard.json']
