"""Django, Flask, Pyramid and hgweb behind nginx with TLS."""
import contextlib
import importlib.util
import os
import subprocess
import sys

import pytest
from zkzopeserver_support.beside import zope_served
from zope_server_support.fronts import CLIENT
from zope_server_support.fronts import NAME
from zope_server_support.fronts import ask_front
from zope_server_support.fronts import free_port
from zope_server_support.fronts import make_certificate
from zope_server_support.fronts import nginx

NGINX = """
server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {certificate};
    ssl_certificate_key {certificate};
    location / {{
        proxy_pass http://127.0.0.1:{server};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
    }}
}}
"""
TRUSTED = {'trusted_proxy': '127.0.0.1'}
SPOOFED = {'X_Forwarded_For': '6.6.6.6', 'X_Forwarded_Proto': 'http',
           'X_Forwarded_Host': 'evil.example'}


@pytest.fixture(scope='module')
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp('certificate'))


@contextlib.contextmanager
def fronted(application, folder, certificate, **settings):
    """Serve behind nginx; yield nginx's port."""
    port = free_port()
    with zope_served(application, **settings) as address, nginx(
            folder / 'front', NGINX.format(
                port=port, certificate=certificate, server=address[1]), port):
        yield port


def make_django():
    """Return a site that wants https, and tells what it knows."""
    from django.test.utils import override_settings
    from zkzopeserver_support.frameworks import django_site

    django_site.make_application(None)
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path

    class Urls:
        urlpatterns = [path('whoami', lambda request: HttpResponse(
            f"{request.is_secure()} {request.META['REMOTE_ADDR']}"
            f" {request.build_absolute_uri('/x')}"))]

    # Settings are read when the middleware is made, the URLs at each request.
    settings = override_settings(
        SECURE_SSL_REDIRECT=True, ROOT_URLCONF=Urls, ALLOWED_HOSTS=[NAME],
        MIDDLEWARE=['django.middleware.security.SecurityMiddleware'])
    settings.enable()
    return get_wsgi_application(), settings.disable


def make_flask():
    """Return a site that tells what it knows."""
    import flask
    site = flask.Flask(__name__)

    @site.get('/whoami')
    def whoami():
        return (f'{flask.request.is_secure} {flask.request.remote_addr}'
                f" {flask.url_for('x', _external=True)}")

    @site.get('/x')
    def x():
        return flask.redirect(flask.url_for('whoami', _external=True))

    return site, lambda: None


def make_pyramid():
    """Return a site that tells what it knows."""
    from pyramid.config import Configurator
    from pyramid.response import Response

    with Configurator() as config:
        config.add_route('whoami', '/whoami')
        config.add_route('x', '/x')
        config.add_view(lambda request: Response(
            f"{request.scheme == 'https'} {request.client_addr}"
            f" {request.route_url('x')}"), route_name='whoami')
        return config.make_wsgi_app(), lambda: None


MAKERS = {'django': make_django, 'flask': make_flask,
          'pyramid': make_pyramid}


@pytest.mark.parametrize('spoofed', [{}, SPOOFED], ids=['honest', 'spoofed'])
@pytest.mark.parametrize('name', MAKERS)
def test_the_client_and_the_scheme(tmp_path, certificate, name, spoofed):
    application, end = MAKERS[name]()
    try:
        with fronted(application, tmp_path, certificate, **TRUSTED) as port:
            assert ask_front(port, '/whoami', certificate, **spoofed)[::2] == (
                200, f'True {CLIENT} https://{NAME}/x'.encode())
    finally:
        end()


def test_django_redirects_in_circles_without_a_trusted_proxy(tmp_path,
                                                             certificate):
    application, end = make_django()
    try:
        with fronted(application, tmp_path, certificate) as port:
            status, fields, _ = ask_front(port, '/whoami', certificate)
            assert (status, fields['Location']) == (
                301, f'https://{NAME}/whoami')
    finally:
        end()


@pytest.mark.parametrize('name', ['django', 'flask'])
def test_a_redirect_stays_with_https(tmp_path, certificate, name):
    application, end = MAKERS[name]()
    path = '/x' if name == 'flask' else '/whoami'
    try:
        with fronted(application, tmp_path, certificate, **TRUSTED) as port:
            status, fields, _ = ask_front(port, path, certificate)
            assert fields.get('Location', '') in (
                '', f'https://{NAME}/whoami')
            assert status in (200, 302)
        # Straight to the server, without the proxy, nobody is believed.
        with zope_served(application, trusted_proxy='127.0.0.1') as address:
            status, fields, _ = ask_front(address[1], path,
                                          X_Forwarded_Proto='https')
            assert fields['Location'].startswith(
                'https://' if name == 'django' else 'http://')
    finally:
        end()


def hg(*arguments, folder):
    """Run hg; return its status and what it writes."""
    done = subprocess.run(
        [sys.executable, '-c',
         'from mercurial import dispatch; dispatch.run()', *arguments],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=120, env={
            **os.environ, 'HGRCPATH': '', 'HGUSER': 'a test',
            'PYTHONPATH': os.pathsep.join(filter(None, sys.path))})
    return done.returncode, done.stdout


@pytest.mark.skipif(importlib.util.find_spec('mercurial') is None,
                    reason='Mercurial is not installed')
@pytest.mark.parametrize('settings', [{}, TRUSTED],
                         ids=['nobody', 'trusted'])
def test_a_push_of_mercurial(tmp_path, certificate, settings):
    """It refuses a push that does not come by https."""
    from mercurial.hgweb import hgweb
    central, mine = tmp_path / 'central', tmp_path / 'mine'
    for folder in (central, mine):
        assert hg('init', str(folder), folder=tmp_path)[0] == 0
    (central / '.hg' / 'hgrc').write_text('[web]\nallow-push = *\n')
    (mine / 'data').write_bytes(os.urandom(3_000_000))
    assert hg('commit', '-A', '-m', 'data', folder=mine)[0] == 0
    with fronted(hgweb(os.fsencode(central)), tmp_path, certificate,
                 **settings) as port:
        status, text = hg(
            'push', f'https://localhost:{port}/', '--config',
            f'web.cacerts={certificate}', folder=mine)
    if settings:
        assert status == 0, text
        assert hg('log', '-T', '{desc}', folder=central) == (0, 'data')
    else:
        assert status != 0
        assert 'ssl required' in text
