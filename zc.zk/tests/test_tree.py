"""Test the reading and writing of trees as text."""
import json

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from zc.zk.encoding import decode
from zc.zk.encoding import encode
from zc.zk.tree import Node
from zc.zk.tree import TreeError
from zc.zk.tree import format_tree
from zc.zk.tree import parse_tree
from zc.zk.tree.node import MARKS
from zc_zk_support import trees

TREE = """\
/cms : z4m cms
  threads = 3
  /databases
    /main
      /providers
  /providers
/lb : ipvs
  /pools
    /cms
      address = '1.2.3.4:80'
      providers -> /cms/providers
    /retail
      address = '1.2.3.5:80'
      providers -> /cms/providers
"""


def same(text):
    return format_tree(parse_tree(text))


def properties(line):
    return parse_tree(f'/a\n  {line}').children['a'].properties


def problem(text):
    with pytest.raises(TreeError) as caught:
        parse_tree(text)
    return str(caught.value)


def test_a_plain_tree_comes_back_as_it_is():
    assert same(TREE) == TREE


def test_what_is_parsed():
    tree = parse_tree(TREE)
    assert sorted(tree.children) == ['cms', 'lb']
    assert tree.children['lb'].properties == {'type': 'ipvs'}
    assert tree.children['cms'].properties == {
        'type': 'z4m cms', 'threads': 3}
    retail = tree.children['lb'].children['pools'].children['retail']
    assert retail.name == 'retail'
    assert retail.properties == {
        'address': '1.2.3.5:80', 'providers ->': '/cms/providers'}


def test_properties_come_before_links_and_links_before_nodes():
    assert same('/a\n  /b\n  l -> /x\n  p = 1\n  q => .. x\n') == (
        '/a\n  p = 1\n  q => .. x\n  l -> /x\n  /b\n')


def test_comments_blank_lines_and_any_indentation():
    assert same('\n# c\n\n /a\n\n   # d\n   p = 1\n   /b\n\n /c\n') == (
        '/a\n  p = 1\n  /b\n/c\n')
    assert same('/a\r\n\tp = 1\r\n\t/b\r\n') == '/a\n  p = 1\n  /b\n'


def test_spaces_may_be_missing():
    assert properties('a=1') == {'a': 1}
    assert properties('a   =1') == {'a': 1}
    assert properties('a=    1') == {'a': 1}
    assert properties('a->/x') == {'a ->': '/x'}
    assert properties('a    ->/x') == {'a ->': '/x'}
    assert properties('a->   /x') == {'a ->': '/x'}
    assert properties('a=>/x') == {'a =>': '/x'}
    assert properties('a=>/x  y') == {'a =>': '/x  y'}
    assert properties("url='http://x/?a=b->c'") == {'url': 'http://x/?a=b->c'}
    for value in ("'x=>y'", "'x => y'", "u'x = y'", "['x -> y']", '"=>"'):
        assert properties(f'a={value}') == properties(f'a = {value}')


def test_names_are_as_long_as_they_can_be():
    assert properties('a=b = 1') == {'a=b': 1}
    assert properties('a-> = 1') == {'a->': 1}
    assert parse_tree('/a:b').children['a:b'].properties == {}
    assert parse_tree('/a: b').children['a'].properties == {'type': 'b'}
    assert parse_tree('/a:1 : b').children['a:1'].properties == {'type': 'b'}


def test_the_links_between_properties_that_zc_zk_2_exported():
    assert properties("a => = u'/b c'") == {'a =>': '/b c'}
    assert properties("a => = '..'") == {'a =>': '..'}


def test_python_2_exports():
    assert properties(
        "a = [1L, {u'b': 0x1FL}, u'caf\\xe9 5L', -2L]"
    ) == {'a': [1, {'b': 31}, 'café 5L', -2]}


def test_what_python_reads_as_literals():
    assert properties("a = 1  # one 'more'") == {'a': 1}
    assert properties("a = '#' # x") == {'a': '#'}
    assert properties('a = 80, 81') == {'a': [80, 81]}
    assert properties("a = 'x',") == {'a': ['x']}
    assert properties("""a = 'b' "c" u'd'""") == {'a': 'bcd'}
    assert properties(r"a = r'\d+', '\d\\'") == {'a': [r'\d+', '\\d\\']}
    assert properties(r"a = '\N{BULLET}\x41\101\u0041'") == {'a': '\u2022AAA'}
    assert properties('a = (), (1), (2,), {}, [[]]') == {
        'a': [[], 1, [2], {}, [[]]]}
    assert properties('a = .5, 1e3, -1.5E-2, 0x1f, 0o17, 0b11, 1_000') == {
        'a': [.5, 1000., -.015, 31, 15, 3, 1000]}
    assert properties("a = {1: 2, None: 3, True: 4, .5: 5, 'x': 6}") == {
        'a': {'1': 2, 'null': 3, 'true': 4, '0.5': 5, 'x': 6}}


def test_data_that_was_exported_as_the_bytes_of_python_2():
    assert properties(r"string_value = 'caf\xc3\xa9'") == {
        'string_value': 'café'}
    assert properties(r"string_value = '\xff\x01'") == {
        'string_value': '\udcff\x01'}
    assert properties(r"string_value = u'caf\xe9'") == {
        'string_value': 'café'}


def test_names_can_be_quoted():
    text = ("/ 'a b'\n"
            "  [ ' x = y' ] = 'z'\n"
            "  [ 'l ->' ] = '/a b'\n"
            "/ 'c -> d' : t\n")
    assert same(text) == text
    tree = parse_tree(text)
    assert tree.children['a b'].properties == {
        ' x = y': 'z', 'l ->': '/a b'}
    assert tree.children['c -> d'].properties == {'type': 't'}


def test_names_of_quotes_are_names_as_in_zc_zk_2():
    text = "/'a'\n  'b' = 1\n  [c] = 2\n  # = 3\n"
    assert parse_tree(text).children["'a'"].properties == {
        "'b'": 1, '[c]': 2}


@pytest.mark.parametrize('type_', ['', 5, None, ' x', 'a\nb', ['a'], False])
def test_types_that_are_no_words_are_properties(type_):
    tree = Node(children={'a': Node('a', {'type': type_})})
    assert parse_tree(format_tree(tree)).children['a'].properties == {
        'type': type_}


def test_access_control_lists():
    text = "/a\n  [ acl ] = ['digest:u:x=:cdrwa', 'world:anyone:r']\n"
    assert same(text) == text
    assert parse_tree(text).children['a'].acl == (
        'digest:u:x=:cdrwa', 'world:anyone:r')
    assert same(text.replace('cdrwa', 'adwrc')) == text
    assert problem("/a\n  [ acl ] = ['world:r']") == (
        "line 2: 'world:r' is not SCHEME:ID:PERMISSIONS, with permissions"
        " of cdrwa: \"[ acl ] = ['world:r']\"")


@pytest.mark.parametrize('acl', ["['world:r']", '[1]', 'world', '('])
def test_the_place_of_an_acl_is_checked_before_its_value(acl):
    line = f'[ acl ] = {acl}'
    assert problem(line) == (
        f'line 1: there is no node above this ACL: {line!r}')
    assert problem(f"/a\n  [ acl ] = ['world:anyone:r']\n  {line}") == (
        f'line 3: duplicate ACL: {line!r}')


def test_ephemeral_nodes_can_be_left_out():
    tree = Node(children={'a': Node('a', ephemeral=True), 'b': Node('b')})
    assert format_tree(tree, ephemeral=False) == '/b\n'
    assert format_tree(tree) == '/a\n  [ ephemeral ]\n/b\n'


def test_a_name_for_the_top():
    assert format_tree(Node('x', {'a': 1})) == '/x\n  a = 1\n'
    assert format_tree(Node('x', {'a': 1}), name='y') == '/y\n  a = 1\n'
    assert format_tree(parse_tree('/a'), name='top') == '/top\n  /a\n'
    assert format_tree(Node()) == '\n'


@pytest.mark.parametrize('text, expected', [
    ('/a\n  b ->', "line 2: a link is written NAME -> PATH: 'b ->'"),
    ('/a\n  b => c d e', 'line 2: a property link is written'
                         " NAME => PATH [NAME]: 'b => c d e'"),
    ('x = 1', "line 1: there is no node above this property: 'x = 1'"),
    ('/y\nx = 1', "line 2: there is no node above this property: 'x = 1'"),
    ('/a\n  b = 1\n    /c',
     "line 3: nothing can be indented under a property: '/c'"),
    ('/a\n    /b\n  /c',
     "line 3: indented by 2, which no line above is: '/c'"),
    ('/a\n/a', "line 2: duplicate node: '/a'"),
    ('/a\n  b = 1\n  b = 2', "line 3: duplicate property: 'b = 2'"),
    ('/a/b', "line 1: the name of a node cannot contain '/': 'a/b': '/a/b'"),
    ('/..', "line 1: '..' cannot be the name of a node: '/..'"),
    ('/ :x', "line 1: a node is written /NODE, /NODE : TYPE or / 'NODE':"
             " '/ :x'"),
    ('/a\n  b = 1 +', "line 2: unexpected '+': 'b = 1 +'"),
    ('/a\n  b = open("x")', "line 2: 'open' is not a literal:"
                            " 'b = open(\"x\")'"),
])
def test_errors_name_the_line_and_quote_it(text, expected):
    assert problem(text) == expected


def test_all_problems_are_reported_together():
    with pytest.raises(TreeError) as caught:
        parse_tree('/a\n  b\n  c = (\n/d\n  e = 1\n/d\n')
    assert [number for number, _ in caught.value.problems] == [2, 3, 6]


def test_a_bad_node_does_not_make_problems_of_its_properties():
    with pytest.raises(TreeError) as caught:
        parse_tree('/a\n/a\n  b = 1\n  c = 2\n')
    assert [number for number, _ in caught.value.problems] == [2]


def test_long_lines_are_quoted_shortened():
    text = problem('/a\n  b = ' + 'x' * 100000)
    assert text.startswith("line 2: 'xxx") and len(text) < 200


def test_limits():
    assert problem('/a\n  b = "' + 'x' * (5 * 2 ** 24)).startswith(
        'line 2: longer than 83886080 characters')
    deep = '\n'.join(' ' * depth + '/a' for depth in range(10001))
    assert problem(deep).startswith('line 10001: more than 10000 levels deep')


def test_deep_trees():
    good = '\n'.join(' ' * depth + '/a' for depth in range(3000))
    assert same(same(good)) == same(good)


def test_a_tree_that_no_text_can_hold():
    top = node = Node()
    for _ in range(10000):
        node.children['a'] = node = Node('a')
    assert format_tree(top).count('/a') == 10000
    node.children['b'] = Node('b')
    with pytest.raises(ValueError, match="^more than 10000 levels deep, at a"
                                         " node 'b': no text can hold this"):
        format_tree(top)
    node.children.clear()
    node.children['c'] = Node('c', ephemeral=True)
    assert format_tree(top, ephemeral=False).count('/a') == 10000


@pytest.mark.parametrize('mark', [*MARKS, 'ephemeral'])
def test_marks(mark):
    text = f'/a\n  [ {mark} ]\n'
    tree = parse_tree(text + '  /b\n')
    node = tree.children['a']
    assert node.ephemeral == (mark == 'ephemeral')
    assert node.marks == {mark} - {'ephemeral'}
    node.children.clear()
    assert format_tree(tree) == text
    assert parse_tree(f'/a\n  [ {mark}  ]  ').children['a'].marks == node.marks
    assert problem(f'[ {mark} ]').startswith(
        'line 1: there is no node above this mark')
    assert problem(f'/a\n  [ {mark}x ]').startswith('line 2: expected /NODE')


def test_several_marks():
    text = "/a\n  [ ephemeral ]\n  [ empty ]\n  [ acl ] = ['ip:::1:r']\n"
    assert format_tree(parse_tree(text)) == text


def test_a_node_that_is_to_be_absent_has_nothing():
    tree = Node(children={'a': Node('a', {'x': 1}, {'b': Node('b')},
                                    marks=frozenset({'absent'}))})
    assert format_tree(tree) == '/a\n  [ absent ]\n'


@pytest.mark.parametrize('value', [
    '[' * 100000, '(' * 1000, '{1:' * 1000, '-' * 100000 + '1', '\'' * 100001,
    "'" + '\\\'' * 100000, 'a.' * 100000, '1+' * 100000, 'not ' * 100000,
    'lambda:' * 10000, '9' * 100000, '"\\N{x}"', '"\\x1"',
    '"\\U99999999"', '1e', '0x', '.', 'b"\xff"', '{[]: 1}', '{1: 2: 3}',
    '{1, 2}', '[,]', '(', '1j', '1..2', 'f"{x}"', '[1 2]', '1,,2', ',',
    "f'x'", "bu'x'",
    "'x" * 99999, '[1 #]',
    'a=>' * 100000, '->' * 100000, '=' * 100000, ': ' * 100000,
])
def test_hostile_values(value):
    with pytest.raises(TreeError):
        parse_tree('/a\n  b = ' + value)


@settings(max_examples=3 * settings.default.max_examples)
@given(trees.nodes())
def test_round_trip(tree):
    text = format_tree(tree)
    again = parse_tree(text)
    assert format_tree(again) == text
    assert trees.comparable(again) == trees.comparable(tree)


@settings(max_examples=3 * settings.default.max_examples)
@given(trees.data())
def test_any_data_comes_back(data):
    before = decode(data)
    tree = Node(children={'a': Node('a', before)})
    after = parse_tree(format_tree(tree)).children['a'].properties
    assert repr(sorted(after.items())) == repr(sorted(before.items()))
    if set(before) == {'string_value'} and not trees.is_object(data):
        assert encode(after) == data
    assert repr(decode(encode(after))) == repr(after)


@settings(max_examples=3 * settings.default.max_examples)
@given(st.text())
def test_any_text_is_a_tree_or_a_tree_error(text):
    try:
        tree = parse_tree(text)
    except TreeError:
        return
    assert same(format_tree(tree)) == format_tree(tree)


@settings(max_examples=3 * settings.default.max_examples)
@given(st.text('ab \t/:=->#\'"[]\\\n10{},uL', max_size=60))
def test_text_of_the_format_s_own_characters(text):
    try:
        tree = parse_tree('/x\n ' + text)
    except TreeError:
        return
    assert same(format_tree(tree)) == format_tree(tree)


def test_json_in_python():
    value = {'a': [True, False, None, 1.5, 'x"\'\n', {'': []}]}
    assert properties('b = ' + json.dumps(value)) == {'b': value}
    assert properties(f'b = {value!r}') == {'b': value}
