"""Servers of bench/follow.py, in one process that is told what to do.

Reads lines, and answers each with a line:

    start N ZOOKEEPER WAIT    started N ADDRESS
    stop N                    stopped N, when it has ended
    expire HOST PORT          expired, when no session is known any more there

Each is a zc.zkzopeserver service with a session of its own. Every 50th request
takes 0.2 s. An answer is the port that gives it.
"""
import itertools
import sys
import threading
import time

from zc.zk.testing.expiry import expire_session

from zc.zkzopeserver import options
from zc.zkzopeserver.service import Service

PATH = '/cms/providers'


def make_application(global_conf=None):
    """Return an application; a ``paste.app_factory``, too."""
    numbers = itertools.count(1)

    def application(environ, start_response):
        environ['wsgi.input'].read()
        if next(numbers) % 50 == 0:
            time.sleep(.2)
        body = environ['SERVER_PORT'].encode()
        start_response('200 OK', [('Content-Type', 'text/plain'),
                                  ('Content-Length', str(len(body)))])
        return [body]

    return application


class Servers:
    """The services, by the numbers that they were given."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._services: dict[str, Service] = {}

    def _say(self, text: str) -> None:
        with self._lock:
            print(text, flush=True)

    def start(self, number: str, zookeeper: str, wait: str) -> None:
        """Start a service, and wait until it is registered."""
        registered = threading.Event()
        service = Service(options.parse({
            'zookeeper': zookeeper, 'path': PATH, 'host': '127.0.0.1',
            'threads': '4', 'session_timeout': '4000',
            'deregister_wait': wait}), make_application(), registered.set)
        service.start()
        registered.wait()
        self._services[number] = service
        self._say(f'started {number} {service.status()["address"]}')

    def stop(self, number: str) -> None:
        """Stop a service as SIGTERM does."""
        self._services.pop(number).stop()
        self._say(f'stopped {number}')

    def expire(self, host: str, port: str) -> None:
        """Have ZooKeeper end all sessions, at the same moment."""
        threads = [threading.Thread(target=expire_session, args=(
            (host, int(port)), *service.parts.registration._zk.client
            .client_id)) for service in self._services.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._say('expired')


def main() -> None:
    """Obey the lines of standard input."""
    servers = Servers()
    verbs = {'start': servers.start, 'stop': servers.stop,
             'expire': servers.expire}
    for line in sys.stdin:
        verb, *arguments = line.split()
        threading.Thread(target=verbs[verb], args=arguments,
                         daemon=True).start()


if __name__ == '__main__':
    main()
