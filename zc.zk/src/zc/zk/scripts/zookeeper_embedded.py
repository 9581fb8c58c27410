"""``zookeeper_embedded``: run the development server."""
import argparse
import logging
import signal
import sys
from collections.abc import Sequence

from zc.zk.embedded.errors import RemoteError
from zc.zk.embedded.errors import ServerError
from zc.zk.embedded.server import Server

FIRST_LINE = (
    'ZooKeeper for development, on one machine; production is an Apache'
    ' ZooKeeper ensemble.')


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then exit with status 0."""
    options = _parse(arguments)
    logging.basicConfig(
        level=logging.WARNING, format='%(levelname)s %(message)s')
    # Blocked in all threads, so that only sigwait receives them.
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    server = Server(
        port=options.port, host=options.host, data=options.data,
        tick=options.tick, allow_remote=options.allow_remote)
    print(FIRST_LINE, flush=True)
    try:
        server.start()
    except RemoteError as error:
        sys.exit(f'zookeeper_embedded: --host {options.host}: {error}; to have'
                 ' that, add --allow-remote')
    except ServerError as error:
        sys.exit(f'zookeeper_embedded: {error}')
    print(server.connection_string, flush=True)
    signal.sigwait(signals)
    server.close()


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='zookeeper_embedded',
        description=FIRST_LINE + ' Without --data, all nodes are gone when'
                    ' it ends.')
    parser.add_argument(
        '--port', type=_port, default=2181,
        help='the port to listen on, 0 for any (default: 2181)')
    parser.add_argument(
        '--host', default='127.0.0.1',
        help='the name or address to listen on (default: 127.0.0.1)')
    parser.add_argument(
        '--allow-remote', action='store_true',
        help='take a --host that other machines can reach')
    parser.add_argument(
        '--data', metavar='FILE',
        help='keep the persistent nodes in this file')
    parser.add_argument(
        '--tick', type=_tick, default=2000, metavar='MS',
        help="tickTime, in milliseconds; session timeouts are 2 to 20 ticks"
             " (default: 2000, as Apache ZooKeeper's)")
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    return _whole(text, 'a port', 0, 65535)


def _tick(text: str) -> int:
    return _whole(text, 'milliseconds', 1, 60_000)


def _whole(text: str, what: str, least: int, most: int) -> int:
    if not text.isdecimal() or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(
            f'{text!r}: {what} from {least} to {most} is wanted')
    return int(text)


if __name__ == '__main__':
    main()
