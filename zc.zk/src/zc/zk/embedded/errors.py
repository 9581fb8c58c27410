"""What goes wrong in the embedded server, by what follows from it."""


class ServerError(OSError):
    """The server cannot run; the text says why in one line."""


class DataError(ServerError):
    """The data file cannot be used; the text says why in one line."""


class Refused(Exception):
    """A request that is answered with an error code."""

    def __init__(self, code: int) -> None:
        super().__init__(f'error {code}')
        self.code = code


class Malformed(Exception):
    """The bytes are not what the record calls for."""


class Damaged(Exception):
    """A record is not as it was written."""


class Torn(Exception):
    """The last record was not written to its end."""
