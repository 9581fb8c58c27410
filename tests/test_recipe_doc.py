"""The examples of doc/recipe.txt run, and it lists every option."""
from __future__ import annotations

import doctest
import getpass
import os
import re
import textwrap
import unittest
from collections.abc import Callable
from collections.abc import Iterable
from pathlib import Path

import manuel.capture
import manuel.doctest
import manuel.testing
import pytest
from paste.deploy import loadwsgi
from zkzopeserver_support.recipe_sandbox import Sandbox
from zkzopeserver_support.recipe_sandbox import Store

from zc.zkzopeserver.recipe import section

TEXT = Path(__file__).parents[1] / 'doc' / 'recipe.txt'

pytestmark = pytest.mark.skipif(not TEXT.exists(), reason='not a checkout')

class Examples:
    """The functions of the examples; ``/sample`` is the sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def functions(self) -> dict[str, Callable[..., object]]:
        return {'buildout': self.buildout, 'ls': self.ls, 'cat': self.cat,
                'grep': self.grep, 'ini': self.ini}

    def shown(self, text: str) -> str:
        """Return the text without what differs between machines.

        Only root needs nobody else's rights to rotate logs.
        """
        text = re.sub(r'^    su .*\n', '', text, flags=re.MULTILINE)
        return text.replace(str(self.sandbox.root), '/sample').replace(
            f'={getpass.getuser()}\n', '=USER\n')

    def buildout(self, text: str | None = None, quiet: bool = False) -> None:
        """Run buildout, with a configuration if given."""
        if text is not None:
            if os.geteuid():
                # What is root's in a real deployment.
                text = text.replace('user = USER',
                                    'user = USER\netc-user = USER')
            text = re.sub(r'\bUSER\b', getpass.getuser(), text)
            parts = re.search(r'^parts = (.*)', text, re.MULTILINE)
            sections = re.sub(r'\[buildout\]\n(.+\n)*', '', text)
            self.sandbox.write(sections, parts[1] if parts else
                               'web' if sections else '')
        run = self.sandbox.run()
        lines = [line for line in self.shown(run.output).splitlines()
                 if not line.startswith(('Creating directory', '  Creating'))]
        if run.status or not quiet:
            print('\n'.join(lines))

    def ls(self, *directories: str, mode: bool = False) -> None:
        """Print the files in the directories."""
        for directory in directories:
            for path in sorted(self.sandbox.path(directory).rglob('*')):
                if path.is_file():
                    print((f'0{os.stat(path).st_mode & 0o777:o} '
                           if mode else '')
                          + str(path.relative_to(self.sandbox.root)))

    def cat(self, path: str) -> None:
        """Print a file."""
        print(self.shown(self.sandbox.read(path)), end='')

    def grep(self, path: str, *words: str) -> None:
        """Print the lines that have one of the words."""
        for line in self.shown(self.sandbox.read(path)).splitlines():
            if any(word in line for word in words):
                print(line.strip())

    def ini(self, path: str, name: str) -> Iterable[tuple[str, str]]:
        """Return what PasteDeploy reads in the section of the ini."""
        parser = loadwsgi.ConfigLoader(str(self.sandbox.path(path))).parser
        return [(key, self.shown(parser.get(name, key)))
                for key in parser.options(name)
                if key not in parser.defaults()]


@pytest.fixture
def sandbox(tmp_path, monkeypatch):
    store = Store(tmp_path / 'store')
    store.add('shop', '1.0', '[console_scripts]\nhello = shop:hello\n')
    (tmp_path / 'sample').mkdir()
    yield Sandbox(tmp_path / 'sample', store)
    store.close()


def test_examples(sandbox):
    def set_up(test):
        test.globs.update(Examples(sandbox).functions())

    suite = manuel.testing.TestSuite(
        manuel.doctest.Manuel(optionflags=doctest.REPORT_NDIFF)
        + manuel.capture.Manuel(), str(TEXT), setUp=set_up)
    result = unittest.TestResult()
    suite.run(result)
    assert result.testsRun == 1
    problems = [text for _, text in result.failures + result.errors]
    assert not problems, '\n'.join(problems)


def table() -> str:
    """Return the list of the recipe's options in doc/recipe.txt."""
    lines = []
    for option in section.OWN:
        default = (option.default_text if option.default_text == 'none'
                   or option.default_label else f'`{option.default_text}`')
        about = f'{option.meaning} (default: {default})'.replace('`', '``')
        lines += [f'``{option.name}``', textwrap.indent(textwrap.fill(
            about, 74, break_on_hyphens=False, break_long_words=False),
            '    '), '']
    return '\n'.join(lines).rstrip() + '\n'


def test_all_options_are_listed():
    assert table() in TEXT.read_text(encoding='utf-8')
