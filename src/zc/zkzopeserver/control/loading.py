"""An ini, as PasteDeploy understands it; only this module imports that."""
from __future__ import annotations

import configparser
import importlib.metadata
import os
from collections.abc import Mapping
from typing import Any

from paste.deploy import loadwsgi

from zc.zkzopeserver.errors import ConfigurationError

OURS = 'zc.zkzopeserver.runner'


class Ini:
    """The server and the application that an ini describes.

    Raises ConfigurationError for an ini that cannot be read or that has no
    server.  `options` are the strings of the server's section, and
    `overrides` come before those.
    """

    def __init__(self, path: str, overrides: Mapping[str, str]) -> None:
        self.path = os.path.abspath(path)
        self._uri = 'config:' + self.path
        try:
            self._server = loadwsgi.loadcontext(loadwsgi.SERVER, self._uri)
        except importlib.metadata.PackageNotFoundError as reason:
            raise ConfigurationError(f'{path}: {reason}') from None
        except (OSError, LookupError, configparser.Error) as reason:
            raise ConfigurationError(
                f'{path}: ' + ' '.join(str(reason).split())) from None
        self.given = dict(self._server.local_conf)
        self.options = self._server.local_conf
        self.options.update(overrides)

    @property
    def is_ours(self) -> bool:
        """Whether the server is zc.zkzopeserver."""
        return getattr(self._server.object, '__module__', '') == OURS

    @property
    def where(self) -> str:
        """The server's section, for messages."""
        return f'server section of {os.path.basename(self.path)}'

    def server(self) -> Any:
        """What serves an application when it is called with one."""
        return self._server.create()

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
