"""The bounds that a listener keeps, in one place."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of a listener: sizes in bytes, times in seconds.

    The defaults suit a handful of operators and a poller or two.
    """

    #: Open connections; further ones get a line that says so.
    connections: int = 100
    #: The longest line that a client may send.
    line: int = 64 * 1024
    #: Output of one connection that waits to be sent, before ``write``
    #: makes its command wait.
    output: int = 1024 * 1024
    #: Commands that run at the same time.
    commands: int = 16
    #: The same, of one name: a command that hangs, and that somebody keeps
    #: asking for, must leave room for the others.
    commands_alike: int = 4
    #: How long a command waits for room before its client is told.
    wait: float = 10.0
    #: How long a new connection may take to send its command.
    idle: float = 60.0
    #: How long a client may leave its answer unread.
    stall: float = 60.0
    #: How long an answered client may take to close its side.
    linger: float = 2.0
    #: How long ``close`` waits for commands that are running.
    grace: float = 1.0
