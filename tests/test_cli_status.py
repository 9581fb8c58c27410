"""The verb `status`: text, JSON, Nagios and exit statuses of surveys."""
import json

import pytest

from zc.zkzopeserver.cli.providers import Provider
from zc.zkzopeserver.cli.survey import Owner
from zc.zkzopeserver.cli.survey import ProviderStatus
from zc.zkzopeserver.cli.survey import ServerProcess
from zc.zkzopeserver.cli.survey import Survey
from zc.zkzopeserver.cli.verbs import status as status_verb
from zc.zkzopeserver.cli.zdaemon import Manager

MANAGED = ServerProcess(10, manager=Manager(9, 10))


def node(pid, answer=200, kind=Owner.OURS, name='127.0.0.1:1'):
    return ProviderStatus(
        Provider(name, {'pid': pid, 'monitor': '127.0.0.1:2'}), kind, answer,
        isinstance(answer, int))


def survey(process=MANAGED, *providers, expected=1, members=(10,), **more):
    return Survey('web', expected, process, members=members,
                  providers=providers, **more)


CASES = {
    'well': (survey(MANAGED, node(10)), 0, 0, [
        'web: running, pid 10, in the background (zdaemon 9); registered and'
        ' answering',
        '  127.0.0.1:1 (pid 10): registered, answers 200']),
    'foreground': (survey(ServerProcess(10), node(10)), 0, 0, [
        'web: running, pid 10, not started by `start`; registered and'
        ' answering',
        '  127.0.0.1:1 (pid 10): registered, answers 200']),
    'silent': (survey(MANAGED, node(10, 'timed out')), 150, 2, [
        'web: running, pid 10, in the background (zdaemon 9); 0 of 1'
        ' registered and answering',
        '  127.0.0.1:1 (pid 10): registered, does not answer: timed out']),
    'unregistered': (survey(MANAGED), 150, 2, [
        'web: running, pid 10, in the background (zdaemon 9); 0 of 1'
        ' registered and answering',
        '  pid 10: alive, not registered']),
    'fewer': (survey(MANAGED, node(11), expected=2, members=(11, 12)),
              150, 1, [
        'web: running, pid 10, in the background (zdaemon 9); 1 of 2'
        ' registered and answering',
        '  127.0.0.1:1 (pid 11): registered, answers 200',
        '  pid 12: alive, not registered']),
    'others': (survey(MANAGED, node(10), node(7, None, Owner.OTHER, 'x:1'),
                      node(8, None, Owner.ORPHAN, 'y:1')), 0, 0, [
        'web: running, pid 10, in the background (zdaemon 9); registered and'
        ' answering',
        '  127.0.0.1:1 (pid 10): registered, answers 200',
        '  y:1 (pid 8): registered, dead; it was a process of this'
        ' machine',
        '  registered by somebody else: 1',
        '    x:1 (pid 7)']),
    'stopped': (survey(ServerProcess(), node(8, None, Owner.ORPHAN),
                       members=()), 3, 2, [
        'web: not running',
        '  127.0.0.1:1 (pid 8): registered, dead; it was a process of this'
        ' machine']),
    'stale': (survey(ServerProcess(stale_pid=10), members=()), 1, 2, [
        'web: dead: pid 10 is gone and has left its pid file']),
    'still registered': (survey(ServerProcess(), node(8, None, Owner.DEAD),
                                members=()), 1, 2, [
        'web: dead: it is gone and is still registered',
        '  127.0.0.1:1 (pid 8): registered, dead']),
    'restarting': (survey(ServerProcess(manager=Manager(9, 0)),
                          members=()), 1, 2, [
        'web: dead; zdaemon 9 is about to start it again']),
    'taken out': (survey(MANAGED, node(11), expected=2, members=(11, 12),
                         deregistered=(12,)), 150, 1, [
        'web: running, pid 10, in the background (zdaemon 9); 1 of 2'
        ' registered and answering, 1 taken out by an operator',
        '  127.0.0.1:1 (pid 11): registered, answers 200',
        '  pid 12: alive, taken out by an operator (`monitor deregister`;'
        ' `monitor register` puts it back)']),
    'no ZooKeeper': (survey(problem='no ZooKeeper answered'), 4, 3, [
        'web: running, pid 10, in the background (zdaemon 9); whether it is'
        ' registered is not known',
        '  no ZooKeeper answered']),
    'stopped, no ZooKeeper': (survey(ServerProcess(), members=(),
                                     problem='no answer'), 3, 2, [
        'web: not running',
        '  no answer']),
    'another server': (survey(MANAGED, node(10), registers=False), 0, 0, [
        'web: running, pid 10, in the background (zdaemon 9); answering',
        '  127.0.0.1:1 (pid 10): answers 200']),
    'another server, at an unknown port': (
        survey(MANAGED, registers=False), 0, 0, [
            'web: running, pid 10, in the background (zdaemon 9); answering']
    ),
}


@pytest.mark.parametrize('case', CASES)
def test_text_and_statuses(case):
    found, status, nagios, lines = CASES[case]
    assert status_verb.text(found).splitlines() == lines
    assert status_verb.exit_status(found) == status
    assert status_verb.nagios_status(found) == nagios


@pytest.mark.parametrize('case', CASES)
def test_json_holds_the_same(case):
    found, status, _, _ = CASES[case]
    said = json.loads(status_verb.as_json(found))
    assert said['status'] == status
    assert said['pid'] == found.process.pid
    assert [each['whose'] for each in said['nodes']] == [
        each.owner.value for each in found.providers]


def test_json_in_full():
    found, *_ = CASES['fewer']
    assert json.loads(status_verb.as_json(found)) == {
        'name': 'web', 'state': 'unwell', 'status': 150, 'pid': 10,
        'stale_pid': None, 'manager_pid': 9, 'expected': 2, 'registered': 1,
        'answering': 1, 'unregistered_pids': [12],
        'deregistered_pids': [], 'troubles': {}, 'problem': None,
        'ended_sessions_of': [],
        'nodes': [{'name': '127.0.0.1:1', 'pid': 11, 'whose': 'ours',
                   'monitor': '127.0.0.1:2', 'answer': 200, 'well': True}]}


def test_nagios_has_one_line_with_performance_data():
    found, *_ = CASES['fewer']
    assert status_verb.nagios(found) == (
        'web WARNING: running, pid 10, in the background (zdaemon 9); 1 of 2'
        ' registered and answering'
        ' | answering=1;2:;1:;0 registered=1;2:;1:;0')


def test_nagios_and_what_would_look_like_performance_data():
    said = status_verb.nagios(survey(problem='no | answer\nat all'))
    assert said.startswith('web UNKNOWN: ')
    assert said.count('|') == 1 and '\n' not in said
