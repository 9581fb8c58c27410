"""A command server inside a process, for its operators.

`Listener` or `start` starts a server. `register` adds a command to all servers
of the process, `unregister` removes it. `ask` sends a command to a server and
returns the answer. README.txt shows each of them.
"""
from zc.monitor.addresses import Address
from zc.monitor.addresses import AnyAddress
from zc.monitor.client import ask
from zc.monitor.client import stream
from zc.monitor.commands import INTERACTIVE_MARKER
from zc.monitor.commands import MORE_MARKER
from zc.monitor.commands import QUIT_MARKER
from zc.monitor.commands import help
from zc.monitor.commands import interactive
from zc.monitor.commands import quit
from zc.monitor.commands import register
from zc.monitor.commands import register_basics
from zc.monitor.commands import unregister
from zc.monitor.limits import Limits
from zc.monitor.output import Connection
from zc.monitor.server import Listener
from zc.monitor.sockets import ListenError

__all__ = [
    'INTERACTIVE_MARKER',
    'MORE_MARKER',
    'QUIT_MARKER',
    'Connection',
    'Limits',
    'ListenError',
    'Listener',
    'ask',
    'help',
    'interactive',
    'last_listener',
    'quit',
    'register',
    'register_basics',
    'start',
    'stream',
    'unregister',
]

#: The listener that `start` made last, None before. New code keeps its own
#: `Listener`.
last_listener: Listener | None = None


def start(address: AnyAddress) -> Address:
    """Start a server, keep it in `last_listener`, return its bound address.

    `address` is as for `Listener`. Raise `ListenError` as `Listener` does.
    """
    global last_listener
    last_listener = Listener(address)
    return last_listener.address
