"""The option `loggers`: logging of the process, by level or ZConfig text.

ZConfig, an optional library, is imported only where there is such text.
"""
from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Mapping

from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.options.values import LEVELS

logger = logging.getLogger('zc.zkzopeserver.signals')

__all__ = ['LEVELS', 'configure', 'configure_default', 'configure_ini',
           'find', 'has_sections', 'level', 'level_to_set', 'reopen']

# The process id tells the lines of several workers apart.
FORMAT = '%(asctime)s %(process)d %(levelname)s %(name)s %(message)s'

# Its INFO records tell each step of each connection.
QUIET = 'kazoo'


def configure(loggers: str | None) -> None:
    """Set logging up as the option says; do nothing for None.

    With a level (its name or number), log from that level on: to stderr, or
    where a launcher such as pserve has set handlers up already.
    Other text is ZConfig's; ``$(message)s`` and ``$$(message)s`` in it stand
    for ``%(message)s``, which PasteDeploy would interpolate.  Raise
    ConfigurationError when ZConfig refuses the text, or is not installed.
    """
    if loggers is None:
        return
    if '<' in loggers:
        _configure_zconfig(re.sub(r'\$?\$\(', '%(', loggers))
    else:
        _configure_level(level(loggers))


def configure_default() -> None:
    """Log to stderr from INFO on, unless logging is set up already."""
    if not logging.getLogger().handlers:
        _configure_level(logging.INFO)


def _configure_level(number: int) -> None:
    logging.basicConfig(format=FORMAT)
    logging.getLogger().setLevel(number)
    quiet = logging.getLogger(QUIET)
    if number == logging.INFO and quiet.level == logging.NOTSET:
        quiet.setLevel(logging.WARNING)


def has_sections(path: str) -> bool:
    """Return whether ``[loggers]`` of an ini sets logging up."""
    import configparser
    parser = configparser.RawConfigParser(strict=False)
    with contextlib.suppress(configparser.Error, UnicodeDecodeError):
        parser.read(path, encoding='utf-8')
    return parser.has_section('loggers')


def configure_ini(path: str, variables: Mapping[str, str]) -> None:
    """Set logging up by ``[loggers]`` of an ini, as pserve reads it.

    That is `logging.config.fileConfig`, with ``%(here)s``, ``%(__file__)s``
    and the `variables`.  Raise ConfigurationError for what is wrong there.
    """
    # Imported here: most inis have no such section, and it takes time.
    import logging.config
    path = os.path.abspath(path)
    try:
        logging.config.fileConfig(
            path, {**variables, '__file__': path,
                   'here': os.path.dirname(path)},
            disable_existing_loggers=False, encoding='utf-8')
    except Exception as error:
        # Handlers are made of any expressions, and raise anything.
        text = ' '.join(f'{type(error).__name__}: {error}'.split())
        raise ConfigurationError(
            f'[loggers] of {os.path.basename(path)}: {text}') from error


def level(name: str) -> int:
    """Return the number of a level, from its name or its digits."""
    return int(name) if name.isdigit() else getattr(logging, name)


def level_to_set(text: str) -> int | None:
    """Return the number of a level for a logger; None for no level.

    `text` is its name, in any case, or 1 to 3 digits.  NOTSET is 0.
    """
    wanted = text.upper()
    if wanted == 'NOTSET':
        return logging.NOTSET
    if wanted in LEVELS or re.fullmatch('[0-9]{1,3}', wanted):
        return level(wanted)
    return None


def find(name: str) -> logging.Logger | None:
    """Return the logger of this name, ``root`` the root; None without one.

    `logging.getLogger` would make one for any name, and a record for each dot
    in it, and none of them is ever given up.
    """
    if name == 'root':
        return logging.getLogger()
    # Where only loggers below it exist, a record is there already.
    is_known = name in logging.Logger.manager.loggerDict
    return logging.getLogger(name) if is_known else None


def _configure_zconfig(text: str) -> None:
    try:
        import ZConfig
    except ImportError:
        raise ConfigurationError(
            "option 'loggers': ZConfig text needs the ZConfig distribution;"
            ' add zc.zkzopeserver[loggers] to the eggs') from None
    try:
        ZConfig.configureLoggers(text)
    except (ZConfig.ConfigurationError, ValueError, OSError) as error:
        raise ConfigurationError(
            "option 'loggers': " + ' '.join(str(error).split())) from None


def reopen() -> list[str]:
    """Open the log files anew, after a log rotation has renamed them.

    What fails at one file, as to write its last lines on a full disk, is
    logged when all are open again, and returned, a text for each file.
    """
    failed = []
    for handler in _handlers():
        try:
            _reopen(handler)
        except Exception as error:  # noqa: BLE001 (any handler's own code)
            failed.append((handler, error))
            # The old stream is closed now, so that the next attempt opens
            # the file.
            if hasattr(handler, 'reopen'):
                with contextlib.suppress(Exception):
                    _reopen(handler)
    for handler, reason in failed:
        logger.error('log file %s: %s',
                     getattr(handler, 'baseFilename', handler), reason)
    return [f'log file {getattr(handler, "baseFilename", handler)}:'
            f' {getattr(reason, "strerror", None) or reason}'
            for handler, reason in failed]


def _reopen(handler: logging.Handler) -> None:
    if hasattr(handler, 'reopen'):
        handler.reopen()
    elif isinstance(handler, logging.FileHandler) and handler.stream:
        # Not by `close`: it would open the file only at its next record, and
        # not at all with the mode 'w' (https://bugs.python.org/issue42378).
        # The mode 'w' would empty a file that was not renamed.
        new = open(handler.baseFilename, 'a', encoding=handler.encoding,
                   errors=handler.errors)
        with handler.lock or contextlib.nullcontext():
            old, handler.stream = handler.stream, new
        old.close()


def _handlers() -> list[logging.Handler]:
    named = logging.Logger.manager.loggerDict.values()
    loggers = [logging.getLogger(), *named]
    found = [handler for logger in loggers
             for handler in getattr(logger, 'handlers', ())]
    return list(dict.fromkeys(found))
