"""Events as lines and as JSON."""
import json
import re

import pytest
from kazoo.protocol.states import ZnodeStat
from zc.zk.live import text
from zc.zk.live.events import events
from zc.zk.redaction import MASK
from zc.zk.tree import Node

NOW = 1_700_000_100.5


def happened(old, new):
    """The events between two dictionaries of properties of /top/a."""
    trees = [Node('top', children={} if properties is None else {
        'a': Node('a', properties, ephemeral=True, version=0)})
        for properties in (old, new)]
    for tree in trees:
        for node in tree.children.values():
            node.stat = ZnodeStat(1, 1, 1_700_000_000_000, 0, 0, 0, 0, 0xab,
                                  0, 0, 1)
    return list(events(*trees, '/top'))


def lines(old, new, **options):
    """The lines that tell it, without the time."""
    made = [text.line(event, NOW, **options) for event in happened(old, new)]
    assert all(re.match(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.500 /top/a ', each)
               for each in made)
    return [each[24:] for each in made]


def test_lines():
    assert lines(None, {'pid': 7, 'monitor': '127.0.0.1:1'}) == [
        "/top/a added (session 0xab, monitor = '127.0.0.1:1', pid = 7)"]
    assert lines({'pid': 7}, None) == [
        '/top/a deleted (session 0xab, after 1 min 40 s)']
    assert lines({'x': 1}, {'x': 2}) == [
        '/top/a change property x from 1 to 2']
    assert lines({}, {'db ->': '/db'}) == ['/top/a add link db -> /db']


@pytest.mark.parametrize('hostile', [
    '\x1b[2J', '\n2023-11-14 forged', '\u202eabc', '\x00', '\u2028'])
def test_no_text_of_the_tree_ends_a_line(hostile):
    for line in (lines(None, {'x': hostile, hostile: 1})
                 + lines({'x': 1}, {'x': hostile})
                 + lines({'x': hostile}, {'x': hostile, hostile + ' ->': '/'})
                 ):
        assert line.isprintable()


def test_secrets_are_masked():
    secret = {'password': 'hunter2', 'dsn': 'pg://u:hunter2@h/d',
              'more': {'token': 'hunter2'}}
    for old, new in ((None, secret), ({}, secret), (secret, {}),
                     (secret, {**secret, 'password': 'hunter2b'})):
        told = lines(old, new) + [json.dumps(text.as_json(event, NOW))
                                  for event in happened(old, new)]
        assert told
        assert 'hunter2' not in ''.join(told)
        assert MASK in ''.join(told)
    plain = lines(None, secret, show=lambda name, value: value)
    assert 'hunter2' in plain[0]


def test_json():
    added, = happened(None, {'pid': 7})
    assert text.as_json(added, NOW) == {
        'time': '2023-11-14T22:15:00.500Z', 'kind': 'add node',
        'path': '/top/a', 'properties': {'pid': 7}, 'session': '0xab',
        'age': 100.5}
    deleted, = happened({'pid': 7}, None)
    assert text.as_json(deleted, NOW) == {
        'time': '2023-11-14T22:15:00.500Z', 'kind': 'delete node',
        'path': '/top/a', 'properties': {'pid': 7}, 'session': '0xab',
        'age': 100.5}
    changed, = happened({'x': 1}, {'x': [2]})
    told = text.as_json(changed, NOW)
    assert (told['name'], told['old'], told['new']) == ('x', 1, [2])


@pytest.mark.parametrize('seconds, told', [
    (0, '0 s'), (0.9, '0 s'), (59, '59 s'), (60, '1 min'), (61, '1 min 1 s'),
    (3600, '1 h'), (3661, '1 h 1 min'), (86400 * 2 + 3599, '2 d'),
    (86400 * 400 + 7200, '400 d 2 h')])
def test_durations(seconds, told):
    assert text.duration(seconds) == told
