"""Run a server in this process, as users' own tests do."""
import contextlib
import http.client
import threading

from zc.zk.testing.waiting import wait_for

import zc.zkzopeserver

PATH = '/fooservice/providers'


def application(environ, start_response):
    """Answers with what the environ says of the server."""
    body = '{SERVER_PORT} {PATH_INFO}'.format(**environ).encode()
    start_response('200 OK', [('Content-Type', 'text/plain'),
                              ('Content-Length', str(len(body)))])
    return [body]


class Failed(Exception):
    """`run` ended instead of serving; ``__cause__`` says why."""


@contextlib.contextmanager
def running(zookeeper, app=application, **options):
    """`run` in a thread, registered; stopped at the end."""
    options = {'zookeeper': zookeeper.connection_string, 'path': PATH,
               'host': '127.0.0.1', 'deregister_wait': '0', **options}
    ends = []

    def target():
        try:
            ends.append(zc.zkzopeserver.run(app, {}, **options))
        except Exception as reason:
            ends.append(reason)

    thread = threading.Thread(target=target, name='running')
    thread.start()
    try:
        wait_for(lambda: ends or zc.zkzopeserver.event_for_testing.is_set(),
                 30, 'the server to be registered')
        if ends:
            raise Failed(repr(ends[0])) from ends[0]
        yield thread
    finally:
        zc.zkzopeserver.stop_for_testing(thread)


def make_path(client, path=PATH):
    """The providers node."""
    client.ensure_path(path)


def get(address, path='/', timeout=10):
    """(status, body text) of a GET at ``HOST:PORT``."""
    connection = http.client.HTTPConnection(address, timeout=timeout)
    try:
        connection.request('GET', path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def make_broken(global_conf, **local_conf):
    """A ``paste.app_factory``: an application that is never ready."""
    def broken(environ, start_response):
        start_response('503 Service Unavailable', [('Content-Length', '0')])
        return [b'']
    return broken
