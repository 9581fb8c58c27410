"""Services and their links."""
from zc.zk.graphvis import dot
from zc.zk.graphvis import dump_edges
from zc.zk.graphvis import get_edges
from zc.zk.tree import parse_tree

TREE = """\
/lb
  /providers
  /pools
    /cms
      providers -> /cms/providers
    /retail
      providers -> ../../../retail/providers
/cms
  main -> /databases/main/providers
  other -> /elsewhere
  /providers
/retail
  /providers
/web
  cms -> /cms/providers
"""

EDGES = [('/cms', '/databases/main'), ('/lb', '/cms'), ('/lb', '/retail')]


def test_edges(tmp_path):
    assert get_edges(TREE) == EDGES
    assert get_edges(parse_tree(TREE)) == EDGES
    path = tmp_path / 'tree.txt'
    path.write_text(TREE)
    assert get_edges(str(path)) == EDGES


def test_a_graph():
    assert dot(TREE) == """\
digraph g {
  "/cms" -> "/databases/main";
  "/lb" -> "/cms";
  "/lb" -> "/retail";
  "/retail";
}
"""


def test_dump(tmp_path, capsys):
    path = tmp_path / 'graph'
    dump_edges(EDGES[:1], str(path))
    assert path.read_text() == (
        'digraph g {\n  "/cms" -> "/databases/main";\n}\n')
    dump_edges(TREE)
    assert capsys.readouterr().out.count('->') == 3


def test_names_are_quoted():
    assert dot('/ \'a"\\\\\'\n  /providers\n') == (
        'digraph g {\n  "/a\\"\\\\";\n}\n')


def test_links_that_are_no_text():
    tree = parse_tree("/a\n  [ 'x ->' ] = 1\n  /providers\n")
    assert get_edges(tree) == []
