"""What can go wrong with a server, beside what clients are told."""


class ServerError(OSError):
    """The server cannot run; the text says why in one line."""


class DataError(ServerError):
    """The data file cannot be used; the text says why in one line."""
