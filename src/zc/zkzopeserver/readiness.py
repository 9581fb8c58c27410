"""The option `ready`: ask the application through the server's socket."""
from __future__ import annotations

import http.client
import logging
import threading
import time
import types
from collections.abc import Mapping

from zc.zkzopeserver.errors import ReadyError
from zc.zkzopeserver.options import Options

logger = logging.getLogger('zc.zkzopeserver.readiness')

# Seconds between two attempts.
INTERVAL_S = 0.1

NO_FIELDS: Mapping[str, str] = types.MappingProxyType({})


def fields(options: Options) -> dict[str, str]:
    """Return the header fields of a question, by `probe_host` and scheme."""
    made = {} if options.probe_host is None else {'Host': options.probe_host}
    if options.probe_scheme == 'https':
        made['X-Forwarded-Proto'] = 'https'
    return made


def wait_until_ready(address: tuple[str, int], path: str, timeout_s: float,
                     stopping: threading.Event,
                     headers: Mapping[str, str] = NO_FIELDS) -> bool:
    """Ask for `path` until it answers 2xx or 3xx.

    `headers` are sent with it, see `fields`.  Return True then, False when
    `stopping` was set first.  Raise ReadyError with the last answer when
    `timeout_s` seconds have passed.
    """
    deadline = time.monotonic() + timeout_s
    while not stopping.is_set():
        left = deadline - time.monotonic()
        answer = ask(address, path, max(left, INTERVAL_S), headers)
        if isinstance(answer, int) and 200 <= answer < 400:
            logger.info('ready: %s answers %s', path, answer)
            return True
        if time.monotonic() + INTERVAL_S > deadline:
            raise ReadyError(f"option 'ready': {path} did not answer 2xx or"
                             f' 3xx within {timeout_s:g} s; last: {answer}')
        stopping.wait(INTERVAL_S)
    return False


def ask(address: tuple[str, int], path: str, timeout_s: float,
        headers: Mapping[str, str] = NO_FIELDS) -> int | str:
    """Return the status that a GET of `path` gets, or the error's text."""
    host, port = address
    if host in ('', '0.0.0.0', '::'):
        # All interfaces: the loopback one is among them.
        host = '::1' if host == '::' else '127.0.0.1'
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request('GET', path,
                           headers={'Connection': 'close', **headers})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
