"""The limits of a listener: one row for each, with its default."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of a listener: sizes in bytes, times in seconds.

    The defaults suit a handful of operators, and a monitoring system that
    polls.
    """

    #: Open connections. A further one gets a line that says so.
    connections: int = 100
    #: The longest line that a client may send.
    line: int = 64 * 1024
    #: Bytes of one connection that wait to be sent. Beyond, ``write`` blocks
    #: its command.
    output: int = 1024 * 1024
    #: Commands of all clients that run at the same time.
    commands: int = 16
    #: Commands of one name that run at the same time. A command that hangs,
    #: and that clients send again and again, leaves room for the others.
    commands_alike: int = 4
    #: Seconds that a command waits for room before it is refused.
    wait: float = 10.0
    #: Seconds that a new connection has to send its command.
    idle: float = 60.0
    #: Connections that stay open for further commands.
    interactive: int = 20
    #: Those of them whose clients are on other machines.
    interactive_remote: int = 4
    #: Seconds without a command after which such a connection ends.
    interactive_idle: float = 900.0
    #: Seconds without progress after which a client that does not read its
    #: answer is disconnected.
    stall: float = 60.0
    #: Seconds that a client has to close its side after the last answer.
    linger: float = 2.0
    #: Seconds that ``close`` waits for running commands.
    grace: float = 1.0
