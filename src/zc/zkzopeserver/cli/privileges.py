"""Root starts a server, and another user runs it."""
from __future__ import annotations

import contextlib
import os
import pwd

from zc.zkzopeserver.errors import ConfigurationError


def become(user: str, folders: tuple[str, ...] = (),
           required: bool = False) -> None:
    """Be `user` from now on, if we are root; nothing when it is ''.

    `folders` are made first, the user's own, where their parents are there:
    ``/run`` is empty after a boot.  When `required`, ConfigurationError
    if we are neither root nor this user.
    """
    if not user:
        return
    try:
        found = pwd.getpwnam(user)
    except KeyError:
        raise ConfigurationError(f'there is no user {user!r}') from None
    if os.geteuid():
        if required and os.geteuid() != found.pw_uid:
            raise ConfigurationError(
                f'it runs as the user {user!r}: start it as that user, or as'
                ' root')
        return
    for folder in folders:
        _make(folder, found)
    if found.pw_uid:
        _be(found)


def _make(folder: str, owner: pwd.struct_passwd) -> None:
    with contextlib.suppress(FileExistsError, FileNotFoundError):
        os.mkdir(folder, 0o750)
        os.chown(folder, owner.pw_uid, owner.pw_gid)


def _be(user: pwd.struct_passwd) -> None:
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ.update(HOME=user.pw_dir, USER=user.pw_name,
                      LOGNAME=user.pw_name)
