"""Credentials from a file."""
import os
import stat

MOST = 2 ** 16


def read_auth_file(path: str) -> list[tuple[str, str]]:
    """Return pairs of scheme and credential.

    A line is ``digest USER:PASSWORD``; empty lines and those that begin with
    ``#`` do not count. Raises ValueError when the file is not like that, or
    when others may read or change it. No message shows what is in it.
    """
    with open(path, 'rb') as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        data = file.read(MOST)
    if mode & 0o077:
        raise ValueError(
            f'{path}: others may read or change it (mode {mode:04o});'
            ' it must be 0600 or stricter')
    try:
        lines = data.decode('utf-8').splitlines()
    except UnicodeDecodeError:
        raise ValueError(f'{path}: this is not UTF-8 text') from None
    found = [_credential(path, number, line.strip())
             for number, line in enumerate(lines, 1)
             if line.strip() and not line.lstrip().startswith('#')]
    if not found:
        raise ValueError(f'{path}: there is no line digest USER:PASSWORD')
    return found


def _credential(path: str, number: int, line: str) -> tuple[str, str]:
    scheme, _, credential = line.partition(' ')
    user, _, password = credential.strip().partition(':')
    if scheme != 'digest' or not user or not password:
        raise ValueError(
            f'{path}: line {number} is not digest USER:PASSWORD')
    return scheme, credential.strip()
