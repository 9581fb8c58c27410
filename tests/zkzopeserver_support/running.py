"""Run a server in this process, as users' own tests do."""
import contextlib
import http.client
import os
import time

from zc.zk.testing.waiting import wait_for

from zc.zkzopeserver import testing

PATH = '/fooservice/providers'


def application(environ, start_response):
    """Answers with what the environ says of the server."""
    body = '{SERVER_PORT} {PATH_INFO}'.format(**environ).encode()
    start_response('200 OK', [('Content-Type', 'text/plain'),
                              ('Content-Length', str(len(body)))])
    return [body]


@contextlib.contextmanager
def running(zookeeper, app=application, **options):
    """`run` in a thread, on the test's ZooKeeper; stopped at the end."""
    options = {'zookeeper': zookeeper.connection_string, 'path': PATH,
               'host': '127.0.0.1', 'deregister_wait': '0', **options}
    with testing.running(app, options) as thread:
        yield thread


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


def make_slow(global_conf, seconds='1'):
    """A ``paste.app_factory``: takes its time when asked for ``/slow``."""
    def slow(environ, start_response):
        if environ['PATH_INFO'] == '/slow':
            # Long, as an application is that works for long.
            time.sleep(float(seconds))
        return application(environ, start_response)
    return slow


def make_gated(global_conf, gate):
    """A ``paste.app_factory``: answers ``/slow`` once the file is there."""
    def gated(environ, start_response):
        if environ['PATH_INFO'] == '/slow':
            wait_for(lambda: os.path.exists(gate), 120)
        return application(environ, start_response)
    return gated
