"""The interface that commands are registered for.

A package that only registers commands, in ZCML or by zope.component, needs
nothing else of zc.monitor.
"""
from zope.interface import Interface


class IMonitorPlugin(Interface):
    """A command: a utility of zope.component, registered by its name.

    `zc.monitor.register` registers a function. In ZCML::

        <utility
            component="myapp.monitoring.hello"
            name="hello"
            provides="zc.monitor.interfaces.IMonitorPlugin"
            />

    The command ``help`` shows the first line of its docstring, ``help
    COMMAND`` shows all of it.
    """

    def __call__(connection, *args):
        """Answer a client.

        `connection` is a `zc.monitor.Connection`, which has ``write(text)``.
        `args` are the words that follow the command in its line, as text.

        The result tells what happens to the connection:
        `zc.monitor.INTERACTIVE_MARKER` keeps it for further commands,
        `QUIT_MARKER` ends it, `MORE_MARKER` has the command called again with
        the words of the next line. Any other result leaves the mode as it is.

        Each call has a thread of its own, and calls for several clients run
        at the same time. An exception becomes one line to the client.
        """
