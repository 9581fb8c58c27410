"""The zc.buildout recipe: a section becomes an ini and a start script.

`part`, `collection` and `follower` are the recipes themselves.  `section` has
the options of a buildout section, `values` their parsers.  `server` makes the
ini of a server, `output` the other files of it.  `layout` says where files go,
`access` who may read and change them, `files` writes them, `eggs` makes the
scripts, `prelude` what these do first.  `conflicts` compares all parts,
`removal` removes one.  `ini`, `units`, `rotation` and `trees`
each make one kind of text.

Only `eggs` imports zc.buildout and zc.recipe.egg, and only `ini` PasteDeploy.
"""
from __future__ import annotations

from typing import Any

from zc.zkzopeserver.recipe.part import Recipe
from zc.zkzopeserver.recipe.removal import uninstall

__all__ = ['Recipe', 'follow', 'tree', 'uninstall']


def tree(buildout: Any, name: str, options: Any) -> Any:
    """Make the recipe `zc.zkzopeserver:tree`, imported when it is used."""
    from zc.zkzopeserver.recipe.collection import TreeCollection
    return TreeCollection(buildout, name, options)


def follow(buildout: Any, name: str, options: Any) -> Any:
    """Make the recipe `zc.zkzopeserver:follow`, imported when it is used."""
    from zc.zkzopeserver.recipe.follower import Follower
    return Follower(buildout, name, options)
