"""Who may read and who may change each file that the recipe writes.

`access` alone decides that.  Two rules are behind its table:

- what root executes or obeys (scripts, units, configurations of logrotate)
  belongs to root in a deployment, and has no secrets;
- what has a secret is readable by one user, the one whose process reads it.
"""
from __future__ import annotations

import dataclasses
import enum

from zc.zkzopeserver.recipe.files import is_root
from zc.zkzopeserver.recipe.layout import Layout

Owner = tuple[int, int]

ROOT: Owner = 0, 0


class Kind(enum.Enum):
    """What a file is for."""

    SCRIPT = 'a program, for everybody to execute'
    SYSTEM = 'a unit or a configuration of logrotate, for root'
    SERVER = 'an ini, for the server'
    SECRETS = 'credentials and variables, for the server'
    OPERATOR = 'a tree, for who imports it'


# Kind -> the mode of a file, and of one that has a secret.
MODES = {
    Kind.SCRIPT: (0o755, 0o700),
    Kind.SYSTEM: (0o644, 0o600),
    Kind.SERVER: (0o640, 0o600),
    Kind.SECRETS: (0o600, 0o600),
    Kind.OPERATOR: (0o644, 0o600),
}


@dataclasses.dataclass(frozen=True)
class Access:
    """The mode of a file, and its owner (uid, gid).

    `owner` is None for the user that runs buildout.
    """

    mode: int
    owner: Owner | None


def access(kind: Kind, layout: Layout, has_secret: bool = False) -> Access:
    """Return who may do what with a file of a kind."""
    mode = MODES[kind][has_secret]
    if not layout.user or not is_root():
        # Who runs buildout runs the server as well.
        return Access(mode, None)
    if kind in (Kind.SERVER, Kind.SECRETS):
        return Access(mode, layout.owner())
    return Access(mode, ROOT)
