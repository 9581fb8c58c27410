"""Four-letter words: what an operator may ask without a session."""
from zc.zk.embedded.client import Client

# That of the Apache ZooKeeper whose behaviour ours is.
VERSION = '3.9.6-embedded'
SIZE = 4


def answer(word: bytes, loop) -> bytes | None:
    """The answer to a word, or None where it is not one."""
    if word in WORDS:
        return WORDS[word](loop).encode()
    return None


def _ruok(loop) -> str:
    return 'imok'


def _isro(loop) -> str:
    return 'rw'


def _envi(loop) -> str:
    return f'Environment:\nzookeeper.version={VERSION}\n'


def _conf(loop) -> str:
    sessions = loop.database.sessions
    return (
        f'clientPort={loop.port}\n'
        f'tickTime={loop.tick}\n'
        f'maxClientCnxns={loop.max_connections}\n'
        f'minSessionTimeout={sessions.shortest}\n'
        f'maxSessionTimeout={sessions.longest}\n'
        'serverId=0\n')


def _srvr(loop) -> str:
    return f'Zookeeper version: {VERSION}\n{_figures(loop)}'


def _stat(loop) -> str:
    return (
        f'Zookeeper version: {VERSION}\nClients:\n{_cons(loop)}'
        f'\n{_figures(loop)}')


def _cons(loop) -> str:
    lines = [_line(connection) for connection in loop.connections]
    return '\n'.join(sorted(lines)) + '\n'


def _mntr(loop) -> str:
    database = loop.database
    ephemerals = database.tree.ephemerals.values()
    figures = {
        'version': VERSION,
        'server_state': 'standalone',
        'num_alive_connections': len(loop.connections),
        'outstanding_requests': 0,
        'packets_received': loop.received,
        'packets_sent': loop.sent,
        'znode_count': len(database.tree),
        'ephemerals_count': sum(map(len, ephemerals)),
        'watch_count': len(database.watches),
        'global_sessions': len(database.sessions),
    }
    return ''.join(
        f'zk_{name}\t{value}\n' for name, value in figures.items())


def _figures(loop) -> str:
    return (
        f'Received: {loop.received}\n'
        f'Sent: {loop.sent}\n'
        f'Connections: {len(loop.connections)}\n'
        'Outstanding: 0\n'
        f'Zxid: {loop.database.zxid:#x}\n'
        'Mode: standalone\n'
        f'Node count: {len(loop.database.tree)}\n')


def _line(connection) -> str:
    client: Client = connection.client
    session = '' if client.session is None else (
        f',sid={client.session.id:#x},to={client.session.timeout}')
    return (
        f' /{connection}[1](queued=0,recved={connection.received}'
        f',sent={connection.sent}{session})')


WORDS = {
    b'cons': _cons,
    b'conf': _conf,
    b'envi': _envi,
    b'isro': _isro,
    b'mntr': _mntr,
    b'ruok': _ruok,
    b'srvr': _srvr,
    b'stat': _stat,
}
