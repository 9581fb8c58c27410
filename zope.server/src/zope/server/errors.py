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
    """A request that the application never sees.

    `status` is the code of the answer and `text`, a sentence of our own
    without anything of the client's, is its body.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text

    @property
    def status_line(self) -> str:
        """The status as a response has it, ``400 Bad Request``."""
        return f'{self.status} {REASONS[self.status]}'

    def answer(self, tail: str) -> tuple[bytes, bytes]:
        """Head and body of the answer; `tail` ends the head."""
        body = f'{self.text}\n'.encode()
        head = (f'HTTP/1.1 {self.status_line}\r\n'
                'Content-Type: text/plain; charset=utf-8\r\n'
                f'Content-Length: {len(body)}\r\n'
                f'Connection: close\r\n{tail}')
        return head.encode('latin-1'), body


class Disconnected(ConnectionError):
    """The client is gone, or has stopped to read the response."""


class ResponseError(Exception):
    """An application's response that HTTP or PEP 3333 does not allow."""


class ServerError(Exception):
    """The server cannot listen, or not write its log; the text says why.

    The text is one line for the server's user; a program that prints it
    exits with `exit_status`.
    """

    exit_status = 2
