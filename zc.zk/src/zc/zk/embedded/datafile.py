"""Open the data file, also in a directory that other users may write.

There, as in /tmp, another user may have put a symbolic link or a file in
place: a link to a file of ours, which would be overwritten, or a file that
this user goes on reading and writing. Neither is used.
"""
import os
import stat
from typing import BinaryIO

from zc.zk.embedded.errors import DataError

FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def resolve(path: str) -> str:
    """Return the path with symbolic links followed, as os.path.realpath does.

    Raise DataError for a link that belongs neither to us nor to root, as
    anywhere such a link may change at any time.
    """
    done = '/'
    names = os.path.abspath(path).split('/')[::-1]
    for _ in range(1000):
        if not names:
            return done
        name = names.pop()
        if name in ('', '.'):
            continue
        if name == '..':
            done = os.path.dirname(done)
            continue
        step = os.path.join(done, name)
        try:
            status = os.lstat(step)
        except FileNotFoundError:
            done = step
            continue
        if not stat.S_ISLNK(status.st_mode):
            done = step
            continue
        if status.st_uid not in (0, os.geteuid()):
            raise DataError(f'{path}: {step} is a symbolic link of another'
                            ' user')
        target = os.readlink(step)
        done = '/' if target.startswith('/') else done
        names += target.split('/')[::-1]
    raise DataError(f'{path}: symbolic links run in a circle')


def open_existing(path: str, target: str) -> BinaryIO:
    """Open or create the file at `target`, to read and to append.

    `path` is for messages. Raise DataError for anything but a regular file,
    and for the file of another user in a directory that others may write.
    """
    fd = os.open(target, FLAGS | os.O_NONBLOCK, 0o666)
    file = open(fd, 'a+b', buffering=0)
    status = os.fstat(fd)
    folder = os.stat(os.path.dirname(target))
    problem = ''
    if not stat.S_ISREG(status.st_mode):
        problem = 'not a file'
    elif (status.st_uid != os.geteuid() and folder.st_mode & OTHERS_WRITE):
        problem = 'the file of another user, in a directory that others write'
    if problem:
        file.close()
        raise DataError(f'{path}: {problem}')
    return file


def open_new(path: str) -> BinaryIO:
    """Create the file at `path` in place of any other, to append."""
    try:
        os.unlink(path)  # a killed process may have left a file
    except FileNotFoundError:
        pass
    return open(os.open(path, FLAGS | os.O_EXCL, 0o600), 'a+b', buffering=0)
