"""The recipe `zc.zkzopeserver:tree`: all trees of a buildout in one file."""
from __future__ import annotations

import os
from typing import Any

from zc.zk import redaction

from zc.zkzopeserver.recipe import files
from zc.zkzopeserver.recipe import layout
from zc.zkzopeserver.recipe import section
from zc.zkzopeserver.recipe import trees
from zc.zkzopeserver.recipe.access import Kind
from zc.zkzopeserver.recipe.access import access
from zc.zkzopeserver.recipe.conflicts import claim
from zc.zkzopeserver.recipe.eggs import check_buildout
from zc.zkzopeserver.recipe.eggs import refuse
from zc.zkzopeserver.recipe.part import Recipe

OPTIONS = {'recipe': None, 'parts': None, 'file': None, 'location': None}


class TreeCollection:
    """The trees of all server parts in one file, for operators to import.

    The option `parts` names the parts, by default all of the buildout.  The
    option `file` is the path of the tree, by default ``parts/NAME/tree.txt``.
    """

    def __init__(self, buildout: Any, name: str, options: Any) -> None:
        check_buildout()
        self.name = name
        directories = buildout['buildout']
        self.layout = layout.plain(directories['directory'],
                                   directories['parts-directory'],
                                   directories['bin-directory'], name)
        self.path = os.path.join(
            self.layout.buildout,
            options.get('file') or self.layout.path('tree.txt'))
        options['location'] = os.path.dirname(self.path)
        problems = section.near_misses(options.keys(), OPTIONS)
        texts = self._texts(buildout, options.get('parts'), problems)
        self.text, conflicts = trees.merge(texts)
        refuse(name, [*problems, *conflicts, *claim(name, [self.path])])

    def _texts(self, buildout: Any, names: str | None,
               problems: list[str]) -> dict[str, str]:
        texts = {}
        for name in (names or buildout['buildout']['parts']).split():
            if name == self.name:
                continue
            if name not in buildout:
                problems.append(f"option 'parts': {name!r} is not a section"
                                ' of the buildout')
                continue
            recipe = getattr(buildout[name], 'recipe', None)
            if isinstance(recipe, Recipe):
                if recipe.tree:
                    texts[name] = recipe.tree
            elif names:
                problems.append(f"option 'parts': {name!r} is not a server"
                                ' of zc.zkzopeserver')
        return texts

    def install(self) -> list[str]:
        """Write the file if its content or mode is wrong; return its path."""
        allowed = access(Kind.OPERATOR, self.layout,
                         redaction.redact_text(self.text) != self.text)
        with files.FileTransaction() as transaction:
            transaction.write(files.File(self.path, self.text, allowed.mode,
                                         allowed.owner))
        return [self.path]

    update = install
