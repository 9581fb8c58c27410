"""The zc.buildout recipe: a section becomes an ini and a start script.

`section` knows the options of a buildout section and `values` what they may
hold; `server` makes an ini of them: `ini` knows how one is written, `loading`
what PasteDeploy makes of it. `layout` says where things go and `relocation`
how they stay true when they move; `units`, `rotation` and `trees` make other
texts. `output` is what is written for a server, `files` how it gets there,
`eggs` makes the scripts. `part` and `collection` are the recipes themselves;
only `buildout` imports zc.buildout, `eggs` zc.recipe.egg, `loading`
PasteDeploy and `trees` zc.zk.
"""
from __future__ import annotations

from typing import Any

from zc.zkzopeserver.recipe.part import Recipe
from zc.zkzopeserver.recipe.part import uninstall

__all__ = ['Recipe', 'tree', 'uninstall']


def tree(buildout: Any, name: str, options: Any) -> Any:
    """The recipe `zc.zkzopeserver:tree`, imported when it is used.

    It imports zc.zk, which a part without a tree does not need.
    """
    from zc.zkzopeserver.recipe.collection import TreeCollection
    return TreeCollection(buildout, name, options)
