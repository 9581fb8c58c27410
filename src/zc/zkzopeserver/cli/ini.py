"""An ini as PasteDeploy understands it."""
from __future__ import annotations

import configparser
import functools
import os
import re
import traceback
from collections.abc import Mapping
from importlib import import_module
from typing import Any

# isort: off
from zc.zkzopeserver.cli import lateimport  # noqa: F401
from paste.deploy import loadwsgi
# isort: on

from zc.zkzopeserver.cli import environment
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.errors import StartError
from zc.zkzopeserver.sessionfile import SessionFile

# What a section of ours uses, and the module of what it refers to.
OURS = 'egg:zc.zkzopeserver', 'egg:zc.zkzopeserver#main'
RUNNER = 'zc.zkzopeserver.runner'

# The kinds of sections that make applications, and the protocols of those that
# make one of several (https://pastedeploy.readthedocs.io).
APPLICATIONS = ('app', 'application', 'composite', 'composit', 'pipeline',
                'filter-app')
COMPOSITES = 'paste.composite_factory', 'paste.composit_factory'


def wrong() -> tuple[type[Exception], ...]:
    """Return what PasteDeploy raises for an ini that is wrong or not there."""
    from importlib.metadata import PackageNotFoundError
    return (OSError, LookupError, configparser.Error, UnicodeDecodeError,
            PackageNotFoundError)


class Ini:
    """The server and the application that an ini describes.

    `options` are the strings of the server's section.  For ours, options of
    the environment come instead of those of the same name; for any server,
    those of the command line do, the instance's `overrides`.  `environment`
    are the former.  `is_ours` is whether the server is zc.zkzopeserver.

    ConfigurationError for an ini that cannot be read or has no server, and
    for a wrong option in the environment.
    """

    def __init__(self, instance: Instance) -> None:
        self.path = path = instance.ini
        self.variables = instance.variables
        # PasteDeploy unquotes it, and ends it at "#".
        self._uri = 'config:' + re.sub(
            r'[%#\\]', lambda found: f'%{ord(found[0]):02X}', self.path)
        self._server = instance.server
        # What PasteDeploy calls the server with, beside its options.
        self._global_conf: Mapping[str, str] = {}
        try:
            options = self._plain_options()
            self.is_ours = options is not None
            if options is None:
                options = self._context.local_conf
                self._global_conf = self._context.global_conf
                self.is_ours = (getattr(self._context.object, '__module__',
                                        '') == RUNNER)
        except wrong() as error:
            text = getattr(error, 'strerror', None) or str(error)
            if '%' in path and isinstance(error, configparser.Error):
                text += ' (PasteDeploy reads no ini with a % in its path)'
            raise ConfigurationError(
                f'{path}: ' + ' '.join(text.split())) from None
        self.environment = self._environment(instance)
        self.options: dict[str, str] = {
            **options, **self.environment, **instance.overrides}

    def _environment(self, instance: Instance) -> Mapping[str, str]:
        if not self.is_ours:
            return {}
        if instance.environment is not None:
            return instance.environment
        return environment.read()

    @functools.cached_property
    def _context(self) -> Any:
        """PasteDeploy's context of the server; imports the server."""
        return self._load(loadwsgi.SERVER, self._server)

    def _load(self, kind: Any, name: str | None = None) -> Any:
        return loadwsgi.loadcontext(kind, self._uri, name,
                                    global_conf=dict(self.variables))

    def _plain_options(self) -> dict[str, str] | None:
        """Return the options of a section as the recipe writes it.

        None for any other section.  Without PasteDeploy's context the verbs
        that don't serve need not import a server.
        """
        loader = loadwsgi.ConfigLoader(self.path)
        # As PasteDeploy does: what [DEFAULT] says stays.
        loader.update_defaults(self.variables, overwrite=False)
        section = loader.find_config_section(loadwsgi.SERVER, self._server)
        shared = loader.parser.defaults()
        options = {name: loader.parser.get(section, name)
                   for name in loader.parser.options(section)
                   if name not in shared}
        if options.pop('use', None) not in OURS or any(
                name == 'require' or ' ' in name for name in options):
            return None
        self._global_conf = {**shared, **self.variables}
        return options

    @property
    def where(self) -> str:
        """The server's section, for messages."""
        return f'server section of {os.path.basename(self.path)}'

    def serve(self, session_file: SessionFile | None = None) -> None:
        """Serve the application; returns when the server has stopped.

        The server is called as any PasteDeploy launcher does, with the
        application.  Only ours gets a `DeferredApplication` instead, with
        the file that keeps the keys of its sessions.
        """
        if self.is_ours:
            # What the entry point names, without a look for that: it would
            # take a part of the time until a parent starts its workers.  And
            # not by PasteDeploy, which would rewrite a TypeError that comes
            # from loading the application.
            import_module(RUNNER).run(DeferredApplication(self, session_file),
                                      self._global_conf, **self.options)
            return
        if session_file is not None:
            # A server of ours that has died may have been here before.  This
            # one is not registered in its place.
            session_file.succeed(0)
        application = self.application()
        context = self._context
        context.local_conf = self.options
        context.create()(application)

    def import_application(self) -> None:
        """Import what makes the application, without making it.

        That takes none of its locks.  The parts of pipelines are imported as
        well, and the applications that a composite names.  StartError, with
        the place, when one cannot be imported.
        """
        try:
            self._import(self._load(loadwsgi.APP), self._application_names())
        except Exception as error:  # noqa: BLE001 (the application's code)
            raise StartError('the application cannot be imported: '
                             + described(error)) from None

    def _import(self, context: Any, names: set[str]) -> None:
        """Import what a context refers to, out of `names`, each once.

        PasteDeploy has imported the context's own parts.  The values of a
        composite's options are for its factory to read: those that are names
        of applications in this ini stand for these.
        """
        for attribute in 'app_context', 'next_context':
            if (inner := getattr(context, attribute, None)) is not None:
                self._import(inner, names)
        if context.protocol in COMPOSITES:
            for word in ' '.join(context.local_conf.values()).split():
                if word in names:
                    names.discard(word)
                    self._import(self._load(loadwsgi.APP, word), names)

    def _application_names(self) -> set[str]:
        kinds = (name.partition(':') for name in self.sections())
        return {name.strip() for kind, _, name in kinds
                if kind.strip() in APPLICATIONS}

    def application(self) -> Any:
        """Load the application; what its own code raises is passed on.

        StartError when PasteDeploy does not find it, or cannot call its
        factory with the options of its section.
        """
        try:
            return loadwsgi.loadapp(self._uri,
                                    global_conf=dict(self.variables))
        except Exception as error:
            if not is_of_pastedeploy(error):
                raise
            text = traceback.format_exception_only(error)[-1]
            raise StartError(f'{self.path}: the application cannot be loaded: '
                             + ' '.join(text.split())) from None

    @property
    def has_logging(self) -> bool:
        """Whether ``[loggers]`` and its sections set logging up."""
        return 'loggers' in self.sections()

    def sections(self) -> dict[str, dict[str, str]]:
        """Return all sections as they are written, ``[DEFAULT]`` included."""
        parser = _Parser(interpolation=None, default_section='')
        with open(self.path, encoding='utf-8') as file:
            parser.read_file(file)
        return {name: dict(parser.items(name))
                for name in parser.sections()}


def described(error: Exception) -> str:
    """Return an exception of the application's code, with its place.

    The place of a SyntaxError is in the file that has it; else it is where
    the exception was raised, in no frame of the import system.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return (f'{type(error).__name__}: {error.msg} ({error.filename},'
                f' line {error.lineno})')
    text = traceback.format_exception_only(error)[-1].strip()
    frames = [each for each in traceback.extract_tb(error.__traceback__)
              if not each.filename.startswith('<frozen ')]
    where = (f' ({frames[-1].filename}, line {frames[-1].lineno})'
             if frames else '')
    return text + where


def is_of_pastedeploy(error: Exception) -> bool:
    """Return whether an exception was raised by PasteDeploy's own code.

    It imports modules and distributions by their names, and calls factories.
    A SyntaxError is of the module that it is in.
    """
    if isinstance(error, SyntaxError):
        return False
    frames = [frame.f_globals.get('__name__', '') for frame, _ in
              traceback.walk_tb(error.__traceback__)]
    while frames and frames[-1].startswith('importlib.'):
        frames.pop()
    return bool(frames) and frames[-1].startswith('paste.deploy.')


class DeferredApplication:
    """The application of an ini, for a server that loads it by itself.

    Ours does so once its options are right, and not at all as the parent of
    workers.
    """

    def __init__(self, ini: Ini,
                 session_file: SessionFile | None = None) -> None:
        self._ini = ini
        #: Where the server keeps the keys of its sessions; None: nowhere.
        self.session_file = session_file

    def load_application(self) -> Any:
        """Load the application; see `Ini.application`."""
        return self._ini.application()


class _Parser(configparser.ConfigParser):
    """Names of options keep their case."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr
