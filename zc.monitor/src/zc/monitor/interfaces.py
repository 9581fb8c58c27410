"""The interface under which commands are registered."""
from zope.interface import Interface


class IMonitorPlugin(Interface):
    """A command, registered as a utility with the command's name.

    The first line of its docstring is shown in the list of commands, all of
    it by ``help COMMAND``.
    """

    def __call__(connection, *args):
        """Answer a client.

        ``connection`` has ``write(text)``; ``args`` are the words after the
        command, as text. May return ``zc.monitor.INTERACTIVE_MARKER``,
        ``QUIT_MARKER`` or ``MORE_MARKER``; anything else changes nothing.
        Called in a thread of its own, and for several clients at once.
        """
