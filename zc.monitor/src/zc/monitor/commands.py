"""Commands: the registry, running one, and the three basic commands.

zope.component is imported when a command is registered or looked up, not
before. Its import takes as long as the import of all of zc.monitor, and a
client needs none of it.
"""
import inspect
import logging
import traceback
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from zc.monitor.output import Connection

logger = logging.getLogger('zc.monitor')

#: Returned by a command: the connection stays, for further commands.
INTERACTIVE_MARKER = object()
#: Returned by a command: the connection ends here.
QUIT_MARKER = object()
#: Returned by a command: it is called again with the words of each line that
#: follows, until it returns another marker.
MORE_MARKER = object()

Command = Callable[..., Any]

_VAR_POSITIONAL = inspect.Parameter.VAR_POSITIONAL
_KEYWORDS = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
_MAX_LENGTH = 500  # Of an error, or of a name, in an answer.


def register(command: Command, name: str | None = None) -> None:
    """Register a command as `name`, by default its ``__name__``.

    Replace the command that had the name before. Raise ValueError if the name
    is not one word.
    """
    from zc.monitor.interfaces import IMonitorPlugin
    from zope.component import provideUtility
    if name is None:
        name = getattr(command, '__name__', None)
        if name is None:
            raise ValueError(f'{command!r} has no __name__: give it a name')
    if not name or name.split() != [name]:
        raise ValueError(f'{name!r}: a command has a name of one word')
    provideUtility(command, IMonitorPlugin, name)


def unregister(command: Command | str) -> bool:
    """Remove a command, given by its name or itself; tell whether it existed.

    A command given itself is removed under all names that it has. A name that
    another command has taken over since stays. Running calls of the command
    go on.
    """
    from zc.monitor.interfaces import IMonitorPlugin
    from zope.component import getGlobalSiteManager
    site = getGlobalSiteManager()
    if isinstance(command, str):
        return site.unregisterUtility(None, IMonitorPlugin, command)
    found = [used for used, other in site.getUtilitiesFor(IMonitorPlugin)
             if other == command]
    for name in found:
        site.unregisterUtility(command, IMonitorPlugin, name)
    return bool(found)


def register_basics() -> None:
    """Register ``help``, ``interactive`` and ``quit``."""
    for command in (help, interactive, quit):
        register(command)


def find(name: str) -> Command | None:
    """Return the command called `name`, None if there is none."""
    from zc.monitor.interfaces import IMonitorPlugin
    from zope.component import queryUtility
    return queryUtility(IMonitorPlugin, name)


def names() -> list[str]:
    """Return the names of all commands, sorted."""
    from zc.monitor.interfaces import IMonitorPlugin
    from zope.component import getUtilitiesFor
    return sorted(
        name for name, _command in getUtilitiesFor(IMonitorPlugin) if name)


def run(connection: Connection, name: str, args: Sequence[str]) -> Any:
    """Run a command; return what it returns, None if it fails.

    Raise nothing: an error becomes a line to the client, and a traceback on
    the logger ``zc.monitor``.
    """
    try:
        command = find(name)
        if command is None:
            connection.write(unknown(name))
        elif not _accepts(command, args):
            connection.write(
                'Wrong number of arguments. '
                f'Usage: {usage(name, command)}\n')
        else:
            return command(connection, *args)
    except BaseException as error:  # SystemExit, too: the process goes on.
        logger.exception('Command %s failed', _short(repr(name)))
        connection.write(f'{_one_line(error)}\n')
    return None


def unknown(name: str) -> str:
    """Return the answer to a command that does not exist."""
    return f'Invalid command {_short(repr(name))}. Try "help".\n'


def usage(name: str, command: Command) -> str:
    """Return a command's name and arguments, as in ``hello [NAME]``."""
    words = [name]
    for parameter in list(inspect.signature(command).parameters.values())[1:]:
        word = parameter.name.upper()
        if parameter.kind in _KEYWORDS:
            continue
        if parameter.kind is _VAR_POSITIONAL:
            word = f'[{word} ...]'
        elif parameter.default is not parameter.empty:
            word = f'[{word}]'
        words.append(word)
    return ' '.join(words)


def _accepts(command: Command, args: Sequence[str]) -> bool:
    try:
        signature = inspect.signature(command)
    except (TypeError, ValueError):  # Some built-in callables have none.
        return True
    try:
        signature.bind(None, *args)
    except TypeError:
        return False
    return True


def _one_line(error: BaseException) -> str:
    """Return an exception as one line that no terminal obeys."""
    text = ''.join(traceback.format_exception_only(type(error), error))
    return _short(''.join(
        sign if sign.isprintable() else ascii(sign)[1:-1]
        for sign in ' '.join(text.split())))


def _short(text: str) -> str:
    return text if len(text) <= _MAX_LENGTH else f'{text[:_MAX_LENGTH]}...'


def _documentation(command: Command) -> str:
    return inspect.cleandoc(command.__doc__ or '') or '?'


def help(connection: Connection, command: str | None = None) -> None:
    """Get help about server commands

    By default, lists the commands with a summary of each. With the name of
    a command, shows all that is documented about it.
    """
    if command is None:
        connection.write(''.join(['Supported commands:\n', *_summaries()]))
        return
    found = find(command)
    if found is None:
        connection.write(unknown(command))
    else:
        connection.write(
            f'Help for {command}:\n\n{_documentation(found)}\n')


def _summaries() -> list[str]:
    return [
        f'  {name} -- {_documentation(found).splitlines()[0]}\n'
        for name in names()
        if (found := find(name)) is not None  # Not unregistered since.
    ]


def interactive(connection: Connection) -> object:
    """Turn on monitor's interactive mode

    Normally, the connection ends after a single command. In interactive
    mode it stays open until you enter "quit" or close it.

    In interactive mode, an empty line repeats the last command.
    """
    connection.write('Interactive mode on.  Use "quit" to exit.\n')
    return INTERACTIVE_MARKER


def quit(connection: Connection) -> object:
    """Quit the monitor

    This is only useful in interactive mode (see the "interactive" command).
    """
    connection.write('Goodbye.\n')
    return QUIT_MARKER
