"""Workers that are used up are replaced, and no client notices."""
from __future__ import annotations

import re

from zc.zk.testing.waiting import wait_for
from zkzopeserver_support import processes
from zkzopeserver_support.running import PATH
from zkzopeserver_support.traffic import Traffic

ECHO = 'call:zkzopeserver_support.echo:make_echo'


def write_ini(folder, zookeeper, app=ECHO, **options):
    return processes.write_ini(
        folder, zookeeper.connection_string, app,
        **{'workers': '2', 'deregister_wait': '0.3', **options})


def replaced(process):
    """Return the ids of the workers that were replaced, in order."""
    return re.findall(r'stopping worker (\d+) at \S+, which ', process.output)


def workers(tree, process):
    """Return the ids of the first two workers.

    A successor of one may be used up before the other is.
    """
    return {str(data['pid']) for data in processes.registered(
        tree, process, count=2).values()}


def assert_one_at_a_time(output):
    """Each successor is registered before a worker stops, and it ends."""
    story = re.findall(
        r' (is registered \(\d|stopping worker \d+|worker \d+ at \S+ has'
        r' stopped)', output.partition('SIGTERM')[0])
    registered, leaving = 0, None
    for line in story:
        kind, _, rest = line.partition(' ')
        if kind == 'is':
            registered += 1
            assert registered <= 3
        elif kind == 'stopping':
            assert registered == 3
            assert leaving is None
            registered -= 1
            leaving = rest.split()[1]
        else:
            assert rest.split()[0] == leaving
            leaving = None
    assert registered >= 2


def test_workers_that_have_served_their_requests(
        zookeeper, tree, tmp_path):
    ini = write_ini(tmp_path, zookeeper, max_requests='150',
                    max_requests_jitter='50')
    with processes.started(ini) as process:
        first = workers(tree, process)
        with Traffic(lambda: tree.get_children(PATH), 8, 0.01) as traffic:
            wait_for(lambda: len(replaced(process)) >= 4
                     and first <= set(replaced(process)), 120,
                     lambda: process.output)
        assert traffic.failures == []
        processes.registered(tree, process, count=2)
        assert process.stopped() == 0
        counts = re.findall(r'has served (\d+) requests: replacing it',
                            process.output)
        assert counts
        assert all(int(count) >= 150 for count in counts)
        assert_one_at_a_time(process.output)


def test_workers_that_have_grown(embedded, embedded_tree, tmp_path):
    ini = write_ini(tmp_path, embedded, f'{ECHO}\nleaks = 1024',
                    max_memory='200 MiB')
    with processes.started(ini) as process:
        first = workers(embedded_tree, process)
        with Traffic(lambda: embedded_tree.get_children(PATH), 4,
                     0.01) as traffic:
            wait_for(lambda: first <= set(replaced(process)), 120,
                     lambda: process.output)
        assert traffic.failures == []
        assert re.search(r'takes \d+\.\d MiB of memory'
                         r' \(max_memory: 200\.0 MiB\): replacing it',
                         process.output)
        assert process.stopped() == 0
        assert_one_at_a_time(process.output)


def test_workers_that_are_too_large_from_the_start_stay(
        embedded, embedded_tree, tmp_path):
    ini = write_ini(tmp_path, embedded, max_memory='1 MiB')
    with processes.started(ini) as process:
        processes.registered(embedded_tree, process, count=2)
        wait_for(lambda: process.output.count(
            'the limit is 1.0 MiB: not replacing it') == 2, 30,
            lambda: process.output)
        assert process.stopped() == 0
        assert not replaced(process)


def test_a_single_server_has_nobody_to_replace_it(embedded, tmp_path):
    ini = write_ini(tmp_path, embedded, workers='1', max_requests='1000')
    with processes.started(ini) as process:
        assert process.ended() == 2
        assert process.output.splitlines() == [
            "web: server section of web.ini: option 'max_requests': only with"
            " more than one of 'workers', as a single server has no process"
            ' that replaces it']
