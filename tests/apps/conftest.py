"""Fixtures of the tests that need applications of other people.

``bin/test-apps`` runs them (apps.cfg); the ordinary suite, which has none of
these applications, leaves this folder out.
"""
import contextlib
import importlib
import importlib.util
import os

import pytest
from zkzopeserver_support.requests import noise

FRAMEWORKS = 'django', 'flask', 'pyramid'

# When the file that the sites send was changed, in seconds.
CHANGED = 1_700_000_000

if importlib.util.find_spec('webtest') is None:
    collect_ignore_glob = ['*']


@pytest.fixture(scope='session')
def folder(tmp_path_factory):
    """A folder with the file that the sites send."""
    folder = tmp_path_factory.mktemp('site')
    (folder / 'data.bin').write_bytes(noise(400_000))
    os.utime(folder / 'data.bin', (CHANGED, CHANGED))
    return folder


class Sites:
    """The site in each framework, behind both servers, once it is needed."""

    def __init__(self, folder, stack):
        self._folder = folder
        self._stack = stack
        self._beside = {}
        self._checked = {}

    def application(self, framework):
        """Return the site as a WSGI application."""
        return importlib.import_module(
            f'zkzopeserver_support.frameworks.{framework}_site'
        ).make_application(self._folder)

    def beside(self, framework):
        """Return a `Beside` of the site."""
        from zkzopeserver_support.beside import beside
        if framework not in self._beside:
            self._beside[framework] = self._stack.enter_context(
                beside(self.application(framework)))
        return self._beside[framework]

    def checked(self, framework):
        """Return the address of the site, with two checkers around it."""
        from wsgiref.validate import validator

        from webtest.lint import middleware
        from zkzopeserver_support.beside import sized
        from zkzopeserver_support.beside import zope_served
        if framework not in self._checked:
            self._checked[framework] = self._stack.enter_context(zope_served(
                validator(sized(middleware(self.application(framework))))))
        return self._checked[framework]


@pytest.fixture(scope='session')
def sites(folder):
    with contextlib.ExitStack() as stack:
        yield Sites(folder, stack)


@pytest.fixture(params=FRAMEWORKS)
def framework(request):
    return request.param
