"""Paths: join, split, normalise; links are tested with nodes."""
import zc.zk
from zc.zk import paths


def test_path_functions():
    assert zc.zk.join('/a', 'b', 'c') == '/a/b/c'
    assert zc.zk.join('/', 'b') == '/b'
    assert zc.zk.join('/') == '/'
    assert paths.split('/a/b') == ('/a', 'b')
    assert paths.split('/a') == ('/', 'a')
    assert paths.normalize('//a/./b/../c/') == '/a/c'
    assert paths.relative_to('/a', 'b') == '/a/b'
    assert paths.relative_to('/a', '/b') == '/b'
    assert paths.relative_to('/a', '..') == '/'
