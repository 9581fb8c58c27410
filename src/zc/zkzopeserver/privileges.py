"""Become the user of a server, before anything of that user's is used.

A start script that root runs calls `drop` first.  What belongs to the user
(the ini, the secrets, the application) is read afterwards, with the rights of
that user: the user cannot gain root's by writing to it.
"""
from __future__ import annotations

import contextlib
import os
import pwd
import sys
from collections.abc import Sequence
from types import CodeType
from typing import NoReturn

from zc.zkzopeserver import directories
from zc.zkzopeserver.errors import ConfigurationError

# The mode of the directories of a server's files.
FOLDER_MODE = 0o750


def become(user: str, folders: Sequence[str] = (),
           required: bool = False) -> None:
    """Become `user` when this process is root's; do nothing when it is ''.

    The missing ones of `folders` are made for that user, if their parents
    exist: ``/run`` is empty after a boot.

    ConfigurationError when there is no such user; with `required` also when
    this process is neither root's nor the user's.
    """
    if not user:
        return
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise ConfigurationError(f'there is no user {user!r}') from None
    if os.geteuid():
        if required and os.geteuid() != entry.pw_uid:
            raise ConfigurationError(
                f'it runs as the user {user!r}: start it as that user, or as'
                ' root')
        return
    for folder in folders:
        directories.make(folder, FOLDER_MODE, (entry.pw_uid, entry.pw_gid))
    if entry.pw_uid:
        _set_user(entry)
    for folder in folders:
        # Where others than root may write, the user makes it.
        with contextlib.suppress(OSError):
            os.mkdir(folder, FOLDER_MODE)


def _set_user(user: pwd.struct_passwd) -> None:
    # The groups first: afterwards this process is not allowed to.
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ.update(HOME=user.pw_dir, USER=user.pw_name,
                      LOGNAME=user.pw_name)


def drop(user: str, *folders: str) -> None:
    """Become `user` as `become` does; SystemExit (2) when there is none.

    Generated scripts call it before they run any other code.
    """
    try:
        become(user, folders)
    except ConfigurationError as error:
        _exit(str(error))


def secrets(path: str) -> CodeType:
    """Return the code of a file with secrets, for a script to execute.

    Generated scripts call it, after `drop`.  SystemExit (2), with one line,
    when the file cannot be read.
    """
    try:
        with open(path, 'rb') as file:
            return compile(file.read(), path, 'exec')
    except OSError as error:
        _exit(f'{path}: {error.strerror}; it has secrets, and only the user'
              ' that it belongs to can run this script (or root)')


def _exit(problem: str) -> NoReturn:
    print(f'{os.path.basename(sys.argv[0])}: {problem}', file=sys.stderr)
    raise SystemExit(2)
