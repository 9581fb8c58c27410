"""Servers in this process, as tests of users run them; applications."""
import contextlib
import http.client
import os
import time

from zc.zk.testing.waiting import wait_for

from zc.zkzopeserver import testing

PATH = '/fooservice/providers'


def application(environ, start_response):
    """Answer with the server's port and the path."""
    body = '{SERVER_PORT} {PATH_INFO}'.format(**environ).encode()
    start_response('200 OK', [('Content-Type', 'text/plain'),
                              ('Content-Length', str(len(body)))])
    return [body]


@contextlib.contextmanager
def running(zookeeper, app=application, **options):
    """Run a server in a thread, on the test's ZooKeeper, and stop it."""
    options = {'zookeeper': zookeeper.connection_string, 'path': PATH,
               'host': '127.0.0.1', 'deregister_wait': '0', **options}
    with testing.running(app, options) as thread:
        yield thread


def get(address, path='/', timeout=10):
    """Return (status, body text) of a GET at ``HOST:PORT``."""
    connection = http.client.HTTPConnection(address, timeout=timeout)
    try:
        connection.request('GET', path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def make_broken(global_conf, **local_conf):
    """Return an application that is never ready; a ``paste.app_factory``."""
    def broken(environ, start_response):
        start_response('503 Service Unavailable', [('Content-Length', '0')])
        return [b'']
    return broken


def make_slow(global_conf, seconds='1'):
    """Return an application that answers ``/slow`` after `seconds`."""
    def slow(environ, start_response):
        if environ['PATH_INFO'] == '/slow':
            # Not a wait for a condition: the application itself is slow.
            time.sleep(float(seconds))
        return application(environ, start_response)
    return slow


def make_particular(global_conf, host):
    """Return an application that serves one host, by https, alone."""
    def particular(environ, start_response):
        if (environ['HTTP_HOST'], environ.get('HTTP_X_FORWARDED_PROTO')) == (
                host, 'https'):
            return application(environ, start_response)
        start_response('400 Bad Request', [('Content-Length', '0')])
        return [b'']
    return particular


def make_choice(loader, global_conf, **local_conf):
    """Fail, as an application that takes a lock: for what only imports."""
    raise AssertionError('this is not to be made')


def make_gated(global_conf, gate):
    """Return an application that answers ``/slow`` once `gate` exists."""
    def gated(environ, start_response):
        if environ['PATH_INFO'] == '/slow':
            wait_for(lambda: os.path.exists(gate), 120)
        return application(environ, start_response)
    return gated
