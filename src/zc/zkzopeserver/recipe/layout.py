"""Where the files of a part go."""
from __future__ import annotations

import dataclasses
import os


@dataclasses.dataclass(frozen=True)
class Layout:
    """Directories of a part, and the names in them."""

    buildout: str
    configuration: str
    scripts: str
    prefix: str = ''

    def ini(self, name: str) -> str:
        """The path of the ini."""
        return os.path.join(self.configuration, name + '.ini')

    def script(self, name: str) -> str:
        """The base name of the start script."""
        return self.prefix + name


def plain(buildout: str, parts: str, scripts: str, part: str) -> Layout:
    """Without a deployment: ``parts/NAME`` and ``bin``."""
    return Layout(buildout, os.path.join(parts, part), scripts)
