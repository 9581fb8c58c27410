"""Read the sources of the four distributions: their modules and imports."""
from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = {
    'zc.zkzopeserver': ROOT / 'src/zc/zkzopeserver',
    'zope.server': ROOT / 'zope.server/src/zope/server',
    'zc.zk': ROOT / 'zc.zk/src/zc/zk',
    'zc.monitor': ROOT / 'zc.monitor/src/zc/monitor',
}


def modules(distribution: str) -> dict[str, Path]:
    """Return the path of each module, by its dotted name."""
    return {_name(distribution, path): path
            for path in sorted(SOURCES[distribution].rglob('*.py'))}


def _name(distribution: str, path: Path) -> str:
    relative = path.relative_to(SOURCES[distribution]).with_suffix('')
    parts = [part for part in relative.parts if part != '__init__']
    return '.'.join([distribution, *parts])


ALL = {module: path for distribution in SOURCES
       for module, path in modules(distribution).items()}


def parse(path: Path) -> ast.Module:
    """Return the syntax tree of a source file."""
    return ast.parse(path.read_text(encoding='utf-8'), str(path))


def imported(path: Path, at_once: bool = False) -> set[str]:
    """Return the dotted names that a file imports, anywhere in it.

    That includes imports in functions and those under TYPE_CHECKING.  With
    `at_once`, return only what an import of the module imports.
    """
    tree = parse(path)
    names = set()
    for node in tree.body if at_once else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f'{path}: a relative import'
            names |= {f'{node.module}.{alias.name}' for alias in node.names}
    return names


def library(name: str) -> str | None:
    """Return the outside library of a name; None for Python's own."""
    first, _, rest = name.partition('.')
    if first in sys.stdlib_module_names:
        return None
    if first in ('zc', 'zope', 'paste'):
        return f'{first}.{rest.split(".")[0]}'
    return first


def inner_imports(distribution: str) -> dict[str, set[str]]:
    """Return which modules of its distribution each module imports.

    A package counts where a module imports what its `__init__` defines.
    """
    known = modules(distribution)
    found: dict[str, set[str]] = {}
    for module, path in known.items():
        found[module] = set()
        for name in imported(path):
            while name and name not in known:
                name = name.rpartition('.')[0]
            if name and name != module:
                found[module].add(name)
    return found


def sentences(path: Path) -> Iterator[str]:
    """Yield the sentences of a file's docstrings and comments."""
    tree = parse(path)
    texts = [ast.get_docstring(node) or '' for node in ast.walk(tree)
             if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    with tokenize.open(path) as file:
        tokens = list(tokenize.generate_tokens(io.StringIO(file.read())
                                               .readline))
    texts.append('\n'.join(token.string.lstrip('#: ') for token in tokens
                           if token.type == tokenize.COMMENT))
    for text in texts:
        for sentence in re.split(r'[.;:](?=\s|$)|\n\n', text):
            yield ' '.join(sentence.split())
