"""Exceptions of the embedded server, by their consequence.

`ServerError` and `DataError` reach the program that starts the server. The
server itself handles the rest: it answers `Refused` with an error code,
closes the connection at `Malformed`, and `Journal` handles `Damaged` and
`Torn` when it reads the data file.
"""


class ServerError(OSError):
    """The server cannot run; the text says why in one line."""


class DataError(ServerError):
    """The data file cannot be used; the text says why in one line."""


class RemoteError(ServerError):
    """The server would listen where other machines reach it."""


class Refused(Exception):
    """A request is answered with the error `code`, one of `protocol.Code`."""

    def __init__(self, code: int) -> None:
        super().__init__(f'error {code}')
        self.code = code


class Malformed(Exception):
    """Bytes do not have the structure of the record that they should be."""


class Damaged(Exception):
    """A record of the data file differs from its checksum."""


class Torn(Exception):
    """The last record of the data file is incomplete."""
