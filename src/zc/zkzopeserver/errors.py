"""Why a server does not start: errors with an exit status.

The start script prints the text of an exception that has an `exit_status`,
and exits with that.  Any other exception is a defect and keeps its traceback.
"""
from __future__ import annotations


class StartError(Exception):
    """The server cannot be started (exit status 1).

    The text of each of these errors is one line for an operator.
    """

    exit_status = 1


class StoppedAtOnce(StartError):
    """A repeated stop signal cut requests in flight off (exit status 1)."""


class OutputError(StartError):
    """What a verb prints cannot be written, as on a full disk (status 1)."""


class ListenError(StartError):
    """The server, or its monitor, cannot listen (exit status 2)."""

    exit_status = 2


class ConfigurationError(StartError):
    """What an option names is not usable (exit status 2)."""

    exit_status = 2


class RegistrationError(StartError):
    """The server cannot be registered in ZooKeeper (exit status 3)."""

    exit_status = 3


class ReadyError(StartError):
    """The application did not become ready in time (exit status 4)."""

    exit_status = 4


class NotProvenError(StartError):
    """A process may be ours, and that cannot be proved (exit status 4).

    It is not signalled.
    """

    exit_status = 4
