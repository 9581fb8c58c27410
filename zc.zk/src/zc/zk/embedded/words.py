"""Four-letter words: what an operator may ask without a session."""

VERSION = '3.8.0-embedded'


def answer(word: bytes, service) -> 'bytes | None':
    """The answer to a word, or None where it is not one."""
    if word in WORDS:
        return WORDS[word](service).encode()
    return None


def _ruok(service) -> str:
    return 'imok'


def _isro(service) -> str:
    return 'rw'


def _envi(service) -> str:
    return f'Environment:\nzookeeper.version={VERSION}\n'


def _srvr(service) -> str:
    return (
        f'Zookeeper version: {VERSION}\n'
        'Latency min/avg/max: 0/0.0/0\n'
        f'Connections: {len(service.connections)}\n'
        'Outstanding: 0\n'
        f'Zxid: {service.database.zxid:#x}\n'
        'Mode: standalone\n'
        f'Node count: {len(service.database.tree)}\n')


WORDS = {
    b'ruok': _ruok,
    b'isro': _isro,
    b'envi': _envi,
    b'srvr': _srvr,
}
