"""Why a server does not start: errors with an exit status.

The start script prints the text of any exception that has an `exit_status`
and exits with it; any other exception is a defect and keeps its traceback.
"""
from __future__ import annotations


class StartError(Exception):
    """The server cannot be started; the text is one line for its user."""

    exit_status = 1


class StoppedAtOnce(StartError):
    """A second request to stop ended what was in flight (exit status 1)."""


class ServerError(StartError):
    """The address cannot be listened on (exit status 2)."""

    exit_status = 2


class ConfigurationError(StartError):
    """A file or a value that an option names is not usable (status 2)."""

    exit_status = 2


class RegistrationError(StartError):
    """The server cannot be registered in ZooKeeper (exit status 3)."""

    exit_status = 3


class ReadyError(StartError):
    """The application did not become ready in time (exit status 4)."""

    exit_status = 4
