"""What can go wrong with a request or with its client."""
from __future__ import annotations

REASONS = {
    400: 'Bad Request',
    408: 'Request Timeout',
    413: 'Content Too Large',
    414: 'URI Too Long',
    417: 'Expectation Failed',
    431: 'Request Header Fields Too Large',
    500: 'Internal Server Error',
    501: 'Not Implemented',
    503: 'Service Unavailable',
    505: 'HTTP Version Not Supported',
}


class HTTPError(Exception):
    """A request is answered with an error, and the application not called.

    `status` is the code of the answer.  `text` is its body, a sentence that
    quotes nothing of the request.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text

    @property
    def status_line(self) -> str:
        """The status as in a response, such as ``400 Bad Request``."""
        return f'{self.status} {REASONS[self.status]}'

    def answer(self, tail: str) -> tuple[bytes, bytes]:
        """Return (head, body) of the answer; `tail` ends the head."""
        body = f'{self.text}\n'.encode()
        head = (f'HTTP/1.1 {self.status_line}\r\n'
                'Content-Type: text/plain; charset=utf-8\r\n'
                f'Content-Length: {len(body)}\r\n'
                f'Connection: close\r\n{tail}')
        return head.encode('latin-1'), body


class Disconnected(ConnectionError):
    """The client is gone, or reads the response too slowly."""


class ResponseError(Exception):
    """An application's response is not what HTTP or PEP 3333 allows."""


class ServerError(Exception):
    """The server cannot listen, or cannot write its log.

    The text says why, in one line for the server's user.  A program that
    prints it exits with `exit_status`.
    """

    exit_status = 2
