"""Ask a server four-letter words, which need no session.

See "The Four Letter Words" in the ZooKeeper Administrator's Guide.
"""
import re
import socket

VERSION = re.compile(r'Zookeeper version: (\d+)\.(\d+)\.(\d+)')

#: The time that a server has to say its version.
VERSION_TIMEOUT_S = 10


def four_letter_word(address: tuple[str, int], word: str,
                     timeout: float = .25) -> str:
    """Return the answer to a word such as ``srvr``, ``mntr`` or ``cons``.

    Return an empty text when the server at `address`, a pair of host and
    port, does not answer within `timeout` seconds.
    """
    chunks = []
    try:
        with socket.create_connection(address, timeout) as connection:
            connection.sendall(word.encode('ascii'))
            while chunk := connection.recv(1 << 16):
                chunks.append(chunk)
    except OSError:
        return ''
    return b''.join(chunks).decode('utf-8', 'replace')


def version(address: tuple[str, int]) -> tuple[int, ...]:
    """Return the version of a running server, such as ``(3, 9, 6)``.

    The embedded server says the version whose behaviour it has. Raise
    ValueError when the answer has no version.
    """
    answer = four_letter_word(address, 'srvr', VERSION_TIMEOUT_S)
    found = VERSION.match(answer)
    if not found:
        raise ValueError(f'no version in what the server says: {answer!r}')
    return tuple(map(int, found.groups()))
