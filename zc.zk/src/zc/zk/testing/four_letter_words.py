"""Four-letter words: what a ZooKeeper server tells without a session."""
import re
import socket

VERSION = re.compile(r'Zookeeper version: (\d+)\.(\d+)\.(\d+)')


def four_letter_word(address: tuple[str, int], word: str,
                     timeout: float = .25) -> str:
    """Ask a server for ``srvr``, ``mntr``, ``cons`` ...

    Return an empty text when it doesn't answer within the time.
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
    """Return the version of a running server, ``(3, 9, 6)``.

    That of the embedded server is the version that it behaves as.
    """
    answer = four_letter_word(address, 'srvr', 10)
    found = VERSION.match(answer)
    if not found:
        raise ValueError(f'no version in what the server says: {answer!r}')
    return tuple(map(int, found.groups()))
