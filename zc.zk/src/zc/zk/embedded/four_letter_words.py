"""Four-letter words: what an operator may ask without a session."""
from zc.zk.embedded.client import Client

# That of the Apache ZooKeeper whose behaviour ours is.
VERSION = '3.9.6-embedded'
SIZE = 4


def answer(word: bytes, service) -> bytes | None:
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


def _conf(service) -> str:
    sessions = service.database.sessions
    return (
        f'clientPort={service.port}\n'
        f'tickTime={service.tick}\n'
        f'maxClientCnxns={service.most_connections}\n'
        f'minSessionTimeout={sessions.shortest}\n'
        f'maxSessionTimeout={sessions.longest}\n'
        'serverId=0\n')


def _srvr(service) -> str:
    return f'Zookeeper version: {VERSION}\n{_figures(service)}'


def _stat(service) -> str:
    return (
        f'Zookeeper version: {VERSION}\nClients:\n{_cons(service)}'
        f'\n{_figures(service)}')


def _cons(service) -> str:
    lines = [_line(connection) for connection in service.connections]
    return '\n'.join(sorted(lines)) + '\n'


def _mntr(service) -> str:
    database = service.database
    ephemerals = database.tree.ephemerals.values()
    figures = {
        'version': VERSION,
        'server_state': 'standalone',
        'num_alive_connections': len(service.connections),
        'outstanding_requests': 0,
        'packets_received': service.received,
        'packets_sent': service.sent,
        'znode_count': len(database.tree),
        'ephemerals_count': sum(map(len, ephemerals)),
        'watch_count': len(database.watches),
        'global_sessions': len(database.sessions),
    }
    return ''.join(
        f'zk_{name}\t{value}\n' for name, value in figures.items())


def _figures(service) -> str:
    return (
        f'Received: {service.received}\n'
        f'Sent: {service.sent}\n'
        f'Connections: {len(service.connections)}\n'
        'Outstanding: 0\n'
        f'Zxid: {service.database.zxid:#x}\n'
        'Mode: standalone\n'
        f'Node count: {len(service.database.tree)}\n')


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
