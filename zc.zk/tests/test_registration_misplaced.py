"""Nodes at wrong paths: what may be one of ours."""
import pytest
from zc.zk.registration.misplaced import is_like


@pytest.mark.parametrize('path, is_it', [
    ('/p/a:8081', True), ('/q/b:8088', True), ('/p/a:80800000000012', True),
    ('/q/a:80810000000012', True), ('/p/a:808', False), ('/p/a:80800', False),
    ('/p/b:9191', False), ('/p/lock-0000000012', False)])
def test_paths_that_are_like_others(path, is_it):
    assert is_like(path, ['/somewhere/else', '/p/a:8080']) is is_it
