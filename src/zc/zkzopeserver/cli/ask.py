"""Asking monitor servers; only this module imports zc.monitor, when asked."""
from __future__ import annotations

from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.errors import StartError


def ask(address: str | tuple[str, int], line: str, timeout_s: float) -> str:
    """The whole answer to a command; StartError when there is none."""
    try:
        import zc.monitor
    except ImportError as reason:
        if not (reason.name or '').startswith('zc'):
            raise
        raise ConfigurationError(
            '`monitor` needs the zc.monitor distribution; add'
            ' zc.zkzopeserver[monitor] to the eggs') from None
    try:
        return zc.monitor.ask(address, line, timeout_s)
    except OSError as reason:
        raise StartError(
            f'the monitor at {reason.filename}: {reason.strerror}') from None
    except ValueError as reason:
        raise StartError(str(reason)) from None
