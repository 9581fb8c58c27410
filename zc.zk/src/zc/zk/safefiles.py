"""Replace files without following the symbolic links of other users.

In a directory that others may write, such as /tmp, anybody can put a link, a
pipe or another name in place of the file that a command is to write. Paths are
therefore followed one step after the other, from directory to directory, by
descriptors: what was looked at is what is used. Links are followed where they
belong to us or to root, or lie in a directory that only we or root may write
(as the kernel's ``fs.protected_symlinks`` does, proc(5), but in all
directories that others may write, sticky or not).
"""
import contextlib
import errno
import os
import secrets
import stat

#: The most links that are followed, as on Linux (path_resolution(7)).
MAX_LINKS = 40

_DIRECTORY = os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, 'O_PATH', os.O_RDONLY)
_NEW = (os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC)


def replace(path: str, data: bytes, mode: int | None) -> None:
    """Replace or create a file, with the data or not at all.

    None as `mode` keeps the mode of a file that is ours, and else obeys the
    umask. A device or a pipe is written to, and not replaced. Raise OSError.
    """
    folder, name, _ = _find(path)
    try:
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            status = None
        if status is None or stat.S_ISREG(status.st_mode):
            _replace(folder, name, data, _mode(status, mode))
        elif stat.S_ISDIR(status.st_mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        else:
            _write_device(folder, name, status, data)
    finally:
        os.close(folder)


def real_path(path: str) -> str:
    """Return the absolute path of a file, with links followed.

    Raise OSError for a link of another user, see the module.
    """
    folder, name, above = _find(path)
    os.close(folder)
    return '/'.join(['', *above, name])


def _find(path: str) -> tuple[int, str, list[str]]:
    """Return a descriptor of the directory of a file, and its name there.

    The name is no link, unless the kernel's own, in /proc. The last item of
    the result has the names of the directories on the way from the root.
    """
    is_absolute = path.startswith('/')
    folder = os.open('/' if is_absolute else '.', _DIRECTORY)
    above = [] if is_absolute else os.getcwd().split('/')[1:]
    try:
        todo = path.split('/')[::-1]
        links = 0
        while True:
            name = todo.pop()
            if name in ('', '.') and todo:
                continue
            if name in ('', '.', '..') and not todo:
                raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
            target = _link(folder, name)
            if target is not None:
                links += 1
                if links > MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                if target.startswith('/'):
                    os.close(folder)
                    folder = os.open('/', _DIRECTORY)
                    above = []
                todo += target.split('/')[::-1]
            elif not todo:
                return folder, name, list(filter(None, above))
            else:
                below = os.open(name, _DIRECTORY | os.O_NOFOLLOW,
                                dir_fd=folder)
                os.close(folder)
                folder = below
                if name == '..':
                    del above[-1:]
                else:
                    above.append(name)
    except BaseException:
        os.close(folder)
        raise


def _link(folder: int, name: str) -> str | None:
    """Return the target of a link; None for what is not one, or not there.

    Raise OSError for a link of another user, see the module.
    """
    for _ in range(MAX_LINKS):
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if not stat.S_ISLNK(status.st_mode) or _is_in_proc(folder, status):
            return None
        if not _is_trusted(folder, status):
            raise OSError(errno.EACCES, 'this is a symbolic link of another'
                                        ' user, which is not followed')
        with contextlib.suppress(FileNotFoundError):
            target = os.readlink(name, dir_fd=folder)
            now = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if (now.st_dev, now.st_ino, now.st_ctime_ns) == (
                    status.st_dev, status.st_ino, status.st_ctime_ns):
                return target
    raise OSError(errno.EAGAIN, 'it changes all the time')


def _is_in_proc(folder: int, status: os.stat_result) -> bool:
    """Return whether a link is one of the kernel's, as /proc/self/fd/1.

    What it stands for is no path, or not one of this process.
    """
    with contextlib.suppress(OSError):
        is_fd = os.stat('.', dir_fd=folder).st_dev == status.st_dev
        return is_fd and os.stat('/proc/self/fd').st_dev == status.st_dev and (
            status.st_uid in (0, os.geteuid())
            and status.st_mode & 0o7777 in (0o500, 0o700, 0o300))
    return False


def _is_trusted(folder: int, status: os.stat_result) -> bool:
    """Return whether only we or root can have put it in the directory."""
    trusted = (0, os.geteuid())
    if status.st_uid in trusted:
        return True
    there = os.stat('.', dir_fd=folder)
    return there.st_uid in trusted and not there.st_mode & (
        stat.S_IWGRP | stat.S_IWOTH)


def _mode(status: os.stat_result | None, mode: int | None) -> int:
    if mode is not None:
        return mode
    if status is not None and status.st_uid == os.geteuid():
        return stat.S_IMODE(status.st_mode)
    umask = os.umask(0o077)
    os.umask(umask)
    return 0o666 & ~umask


def _replace(folder: int, name: str, data: bytes, mode: int) -> None:
    temporary = f'.{name[:100]}.{secrets.token_hex(8)}.new'
    handle = os.open(temporary, _NEW, 0o600, dir_fd=folder)
    try:
        with open(handle, 'wb') as file:
            file.write(data)
            file.flush()
            os.fchmod(handle, mode)
            os.fsync(handle)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        raise


def _write_device(folder: int, name: str, status: os.stat_result,
                  data: bytes) -> None:
    if not _is_trusted(folder, status):
        raise OSError(errno.EACCES, 'this is a file of another user, and not'
                                    ' a regular one')
    # O_APPEND for standard output that is a file, by way of /dev/stdout.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
    if not stat.S_ISLNK(status.st_mode):
        flags |= os.O_NOFOLLOW
    with open(os.open(name, flags, dir_fd=folder), 'wb') as file:
        file.write(data)
