"""An ini, as PasteDeploy understands it; only this module imports that."""
from __future__ import annotations

import configparser
import functools
import importlib.metadata
import os
from collections.abc import Mapping
from typing import Any

from paste.deploy import loadwsgi

from zc.zkzopeserver.errors import ConfigurationError

# What a section of ours uses, and where that is defined.
OURS = 'egg:zc.zkzopeserver', 'egg:zc.zkzopeserver#main'
RUNNER = 'zc.zkzopeserver.runner'

WRONG = (OSError, LookupError, configparser.Error, UnicodeDecodeError,
         importlib.metadata.PackageNotFoundError)


class Ini:
    """The server and the application that an ini describes.

    Raises ConfigurationError for an ini that cannot be read or that has no
    server.  `options` are the strings of the server's section; `overrides`
    come before those.  `is_ours` is whether the server is zc.zkzopeserver.
    """

    def __init__(self, path: str, overrides: Mapping[str, str]) -> None:
        self.path = os.path.abspath(path)
        self._uri = 'config:' + self.path
        try:
            options = self._plain()
            self.is_ours = options is not None
            if options is None:
                options = self._context.local_conf
                self.is_ours = (getattr(self._context.object, '__module__',
                                        '') == RUNNER)
        except WRONG as reason:
            text = getattr(reason, 'strerror', None) or str(reason)
            raise ConfigurationError(
                f'{path}: ' + ' '.join(text.split())) from None
        self.options: dict[str, str] = {**options, **overrides}

    @functools.cached_property
    def _context(self) -> Any:
        """What PasteDeploy makes of the server; imports the server."""
        return loadwsgi.loadcontext(loadwsgi.SERVER, self._uri)

    def _plain(self) -> dict[str, str] | None:
        """The options of a section as the recipe writes it; None for others.

        Verbs that don't serve are quicker without importing a server.
        """
        loader = loadwsgi.ConfigLoader(self.path)
        section = loader.find_config_section(loadwsgi.SERVER, 'main')
        shared = loader.parser.defaults()
        found = {name: loader.parser.get(section, name)
                 for name in loader.parser.options(section)
                 if name not in shared}
        if found.pop('use', None) not in OURS or any(
                name == 'require' or ' ' in name for name in found):
            return None
        return found

    @property
    def where(self) -> str:
        """The server's section, for messages."""
        return f'server section of {os.path.basename(self.path)}'

    def server(self) -> Any:
        """What serves an application when it is called with one."""
        self._context.local_conf = dict(self.options)
        return self._context.create()

    def application(self) -> Any:
        """The application; what its own loading raises is left as it is."""
        return loadwsgi.loadapp(self._uri)

    def sections(self) -> dict[str, dict[str, str]]:
        """All sections as they are written; ``[DEFAULT]`` is one of them."""
        parser = configparser.ConfigParser(interpolation=None,
                                           default_section='')
        parser.optionxform = str  # type: ignore[assignment]
        with open(self.path, encoding='utf-8') as file:
            parser.read_file(file)
        return {name: dict(parser.items(name))
                for name in parser.sections()}
