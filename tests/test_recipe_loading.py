"""What PasteDeploy would stumble over is told before a file is written."""
from __future__ import annotations

import pytest

from zc.zkzopeserver.recipe import loading

SERVER = '[server:main]\nuse = egg:zc.zkzopeserver\n'
APP = '[app:main]\nuse = egg:x\n'


def problems(text):
    return loading.problems(text, '/somewhere', [])


@pytest.mark.parametrize('text', [
    APP + SERVER,
    '[app:x]\nuse = egg:x\n[pipeline:main]\npipeline = egg:y x\n' + SERVER,
    '[composite:main]\nuse = egg:Paste#urlmap\n/ = home\n' + SERVER,
    '[app:main]\nuse = egg:x\nroot = %(here)s/x\n' + SERVER,
    '[filter-app:main]\nuse = egg:f\nnext = x\n[app:x]\nuse = egg:x\n'
    + SERVER,
])
def test_what_paste_can_read_is_right(text):
    assert problems(text) == []


@pytest.mark.parametrize('text, words', [
    (SERVER, 'no main application'),
    (APP, 'no main server'),
    (APP + APP + SERVER, 'already exists'),
    ('words\n' + APP, 'cannot be read'),
    ('[app:main]\nuse = egg:x\na = %(nothing)s\n' + SERVER, 'nothing'),
    ('[app:main]\nuse = egg:x\na = 100%\n' + SERVER, "'%' must be followed"),
    ('[pipeline:main]\npipeline = f x\n[app:x]\nuse = egg:x\n' + SERVER,
     "[pipeline:main] refers to 'f'"),
    ('[pipeline:main]\npipeline = egg:f x\n' + SERVER, '[app:x]'),
    ('[pipeline:main]\n' + SERVER, '[pipeline:main]'),
    ('[app:main]\nuse = egg:x\nfilter-with = f\n' + SERVER, '[filter:f]'),
])
def test_what_paste_cannot_read_is_told_in_a_line(text, words):
    [problem] = problems(text)
    assert words in problem
    assert '\n' not in problem
    assert '/tmp' not in problem


def test_a_value_that_would_be_passed_over_is_told():
    [problem] = loading.problems(
        '[DEFAULT]\nx = 1\n' + APP + 'x = 2\n' + SERVER, '/somewhere',
        [('app:main', {'x': '2'})])
    assert "option 'x' of [app:main]" in problem


def test_a_value_that_does_not_come_back_is_told():
    [problem] = loading.problems(APP + 'x = 2\n' + SERVER, '/somewhere',
                                 [('app:main', {'x': '3'})])
    assert "option 'x' of [app:main]" in problem
