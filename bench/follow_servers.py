"""Servers of bench/follow.py, in one process that is told what to do.

Reads lines, and answers each with one line that begins with the same words:

    start N ZOOKEEPER     started N ADDRESS
    stop N                stopping N, and later: stopped N

Each is a zc.zkzopeserver service with a session of its own. Every 50th request
takes 0.2 s. An answer is the port that gives it.
"""
import itertools
import sys
import threading
import time

from zc.zkzopeserver import options
from zc.zkzopeserver.service import Service

PATH = '/cms/providers'


def make_application():
    """Return an application, and a list to which its address is added."""
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


def main() -> None:
    """Obey the lines of standard input."""
    services: dict[str, Service] = {}
    lock = threading.Lock()

    def say(text: str) -> None:
        with lock:
            print(text, flush=True)

    def start(number: str, zookeeper: str, wait: str) -> None:
        registered = threading.Event()
        service = Service(options.parse({
            'zookeeper': zookeeper, 'path': PATH, 'host': '127.0.0.1',
            'threads': '4', 'session_timeout': '4000',
            'deregister_wait': wait}), make_application(), registered.set)
        service.start()
        registered.wait()
        services[number] = service
        say(f'started {number} {service.status()["address"]}')

    def stop(number: str) -> None:
        services.pop(number).stop()
        say(f'stopped {number}')

    for line in sys.stdin:
        verb, *arguments = line.split()
        threading.Thread(target={'start': start, 'stop': stop}[verb],
                         args=arguments, daemon=True).start()


if __name__ == '__main__':
    main()
