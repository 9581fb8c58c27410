"""Test that the cache and the fast pattern change no result of the parser."""
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from zc.zk.tree import TreeError
from zc.zk.tree import lines
from zc.zk.tree import parse_tree
from zc_zk_support import trees

# Each is close to what the fast pattern matches.
LINES = [
    '/a', '/a ', '/b : t', '/a : b c', '/a : b  c', '/a : t ', '/c.d',
    '/..', '/. : t', '/a:b', '/a: b', '/a: : b', '/a : : b', '/a : x -> y',
    '/é', "/ 'x y'", "/'a'", 'x = 1', 'x = 01', 'x = -0', 'n = -5', 'x =  2',
    'n = 12345678901234567890', "y = 'z'", "y = u'z'", 'y = "q"', "y = ''",
    "y = 'a' 'b'", r"y = 'a\n'", 'y = "é"', 'z = True', 'z = 1.5', 'z = None',
    'm = [1, 2]', 'x = 1 # c', 'x = >1', 'x = -> y', 'x = = 1', 'x=1', 'é = 1',
    'a.b-c = 1', '-a = 1', 'l -> /x', 'l->/x', 'l -> /x y', 'l -> ',
    'p => .. q', 'p => a b c', "[ 'k' ] = 5", 'string_value = "x"',
    r"string_value = 'caf\xc3\xa9'", '[ acl ] = ["world:anyone:r"]', 'bad',
    '# c', '', 'q = (', '\x0bx = 1',
]


def any_lines():
    return st.builds(
        '{}{}{}'.format,
        st.sampled_from(['', ' ', '  ', '    ', '\t', '   \t']),
        st.sampled_from(LINES) | st.text(
            'ab \t/:=->#\'"[]\\10.{},uL\r\x85\xa0', max_size=12),
        st.sampled_from(['', '', '\r', ' ', '\xa0']))


def outcome(text):
    try:
        return trees.comparable(parse_tree(text))
    except TreeError as error:
        return error.problems


@settings(max_examples=20 * settings.default.max_examples)
@given(st.lists(any_lines(), max_size=20).map('\n'.join))
def test_the_fast_way_gives_the_same_result(text):
    short = outcome(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, 'MAX_CACHED_LINES', 0)
        patch.setattr(lines, 'match_common_line', lambda line: None)
        assert outcome(text) == short


@pytest.mark.parametrize('line', [
    "  x = '{}'", '  x -> {}', '  {} = 1', '  /{}', '  /a : {}',
    '  x = 1 # {}'])
def test_the_fast_way_obeys_the_limit(line, monkeypatch):
    monkeypatch.setattr(lines, 'MAX_LINE', 5 * 2 ** 20)
    with pytest.raises(TreeError, match='^line 2: longer than 5242880 char'):
        parse_tree('/a\n' + line.format('x' * 5 * 2 ** 20))


def test_nodes_do_not_share_what_can_be_changed():
    tree = parse_tree('/a\n  x = [1]\n/b\n  x = [1]\n')
    tree.children['a'].properties['x'].append(2)
    assert tree.children['b'].properties == {'x': [1]}


def test_the_cache_is_bounded(monkeypatch):
    monkeypatch.setattr(lines, 'MAX_CACHED_LINES', 3)
    known = lines.LineCache()
    for number in range(5):
        assert known[f'x = {number}'] == (0, 'property', 'x', number)
    assert len(known) == 3
    known.clear()
    assert known['x' * 200 + ' = 1'] and not known
