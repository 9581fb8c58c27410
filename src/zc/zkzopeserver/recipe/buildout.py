"""What the recipes need of zc.buildout."""
from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

import zc.buildout
from zc.buildout import easy_install

from zc.zkzopeserver.options import OptionsError


def refuse(name: str, problems: Iterable[str]) -> None:
    """Raise one UserError for all the problems of a section, if any."""
    problems = list(dict.fromkeys(problems))
    if problems:
        raise zc.buildout.UserError(str(OptionsError(problems, f'[{name}]')))


@contextlib.contextmanager
def network(buildout: Any) -> Iterator[None]:
    """Where eggs are looked for: in an offline run, nowhere outside.

    For a distribution that is missing, buildout would ask the default index
    even then, and read through all of it.
    """
    if buildout['buildout'].get('offline') != 'true':
        yield
        return
    before = easy_install.default_index_url
    easy_install.default_index_url = f'file://{os.devnull}'
    try:
        yield
    finally:
        easy_install.default_index_url = before
