"""Open directories on behalf of root, where other users may write.

A user who may write to a directory can put a symbolic link there at any
moment, between two calls that name a file.  Root then changes another file
than the one it meant (CWE-59, CWE-367).  So root works with a descriptor of
the directory, and follows only links that nobody else could have put.

Imports the standard library alone: the recipe runs inside buildout.
"""
from __future__ import annotations

import errno
import os
import pwd
import stat
from collections.abc import Iterator

# As many links as Linux follows in one path (path_resolution(7)).
MOST_LINKS = 40

# Linux needs no right to read a directory for this.
_FLAGS = getattr(os, 'O_PATH', 0) | os.O_DIRECTORY | os.O_CLOEXEC


def open_directory(path: str) -> int:
    """Return a descriptor of a directory, for the ``dir_fd`` of other calls.

    For root, a symbolic link on the way is followed only where nobody else
    may write.  OSError (ELOOP) for any other link.
    """
    names = _names(os.path.abspath(path))
    fd = os.open('/', _FLAGS)
    links = 0
    try:
        while names:
            name = names.pop()
            target = _link(fd, name)
            if target is None:
                fd = _moved(fd, os.open(name, _FLAGS | os.O_NOFOLLOW,
                                        dir_fd=fd))
                continue
            links += 1
            if links > MOST_LINKS or (os.geteuid() == 0
                                      and not is_protected(os.fstat(fd))):
                raise OSError(errno.ELOOP, 'a symbolic link that others can'
                              ' change', path)
            if target.startswith('/'):
                fd = _moved(fd, os.open('/', _FLAGS))
            names += _names(target)
    except OSError as error:
        os.close(fd)
        error.filename = path
        raise
    return fd


def _names(path: str) -> list[str]:
    """Return the names in a path, the last one first."""
    return [name for name in reversed(path.split('/')) if name]


def _link(fd: int, name: str) -> str | None:
    """Return what a symbolic link names; None for anything else."""
    try:
        return os.readlink(name, dir_fd=fd)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return None
        raise


def _moved(old: int, new: int) -> int:
    os.close(old)
    return new


def is_protected(status: os.stat_result) -> bool:
    """Return whether only root and this process's user can change a file."""
    others = stat.S_IWOTH | (stat.S_IWGRP if status.st_gid else 0)
    return (status.st_uid in (0, os.geteuid())
            and not status.st_mode & others)


def make(path: str, mode: int, owner: tuple[int, int]) -> bool:
    """Make a directory for an owner (uid, gid); return whether it was made.

    It is not made if its parent is missing, or if other users than root may
    write to that.
    """
    parent, name = os.path.split(os.path.abspath(path))
    try:
        fd = open_directory(parent)
    except OSError:
        return False
    try:
        if not is_protected(os.fstat(fd)):
            return False
        os.mkdir(name, 0o700, dir_fd=fd)
        made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW,
                       dir_fd=fd)
        try:
            os.fchown(made, *owner)
            os.fchmod(made, mode)
        finally:
            os.close(made)
    except FileExistsError:
        return False
    finally:
        os.close(fd)
    return True


def changeable(path: str, user: str) -> str:
    """Return the first part of a path that a user could change; '' for none.

    It is the path of a directory, link or file that belongs to the user, or
    to which the user may write.  In a sticky directory (``/tmp``) only the
    user's own files count.  '' for root, who could change everything.
    """
    entry = pwd.getpwnam(user)
    if not entry.pw_uid:
        return ''
    groups = os.getgrouplist(user, entry.pw_gid)
    for each in _way(path):
        try:
            status = os.lstat(each)
        except FileNotFoundError:
            continue
        if status.st_uid == entry.pw_uid:
            return each
        if stat.S_ISLNK(status.st_mode) or status.st_mode & stat.S_ISVTX:
            continue
        if status.st_mode & stat.S_IWOTH or (
                status.st_mode & stat.S_IWGRP
                and (status.st_gid in groups or _has_list(each))):
            return each
    return ''


def _way(path: str, links: int = MOST_LINKS) -> Iterator[str]:
    """Yield the path and all directories above it, the uppermost first.

    After a symbolic link comes the way to its target.
    """
    place = '/'
    yield place
    for name in filter(None, os.path.abspath(path).split('/')):
        place = os.path.join(place, name)
        yield place
        if links and os.path.islink(place):
            yield from _way(os.path.join(os.path.dirname(place),
                                         os.readlink(place)), links - 1)
    yield os.path.realpath(path)


def _has_list(path: str) -> bool:
    """Return whether a file has an access control list (acl(5)).

    With a list, the bits of the group are its mask: the most that any entry
    of the list allows.
    """
    try:
        return 'system.posix_acl_access' in os.listxattr(path)
    except (AttributeError, OSError):
        return False
