"""Everything about the engine that can be set, with its limits."""
from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes in bytes, times in seconds.

    `multiprocess` goes into the environment of requests; without `use_epoll`
    it is poll that is used, as on systems that have no epoll.

    A request whose head or body arrives, or a response that is read, more
    slowly than `minimum_rate` bytes a second, once the respective timeout has
    passed, is ended; see `pace`.
    """

    threads: int = 1
    name: str = 'zc.zkzopeserver'
    multiprocess: bool = False
    use_epoll: bool = True
    connection_limit: int = 1000
    channel_timeout: float = 120.0
    header_timeout: float = 30.0
    body_timeout: float = 60.0
    send_timeout: float = 60.0
    linger_timeout: float = 2.0
    minimum_rate: int = 500
    max_request_line: int = 16 * 2 ** 10
    max_request_header_size: int = 64 * 2 ** 10
    max_request_fields: int = 200
    max_request_body_size: int = 2 ** 30
    max_chunk_framing: int = 16 * 2 ** 10
    body_spool_size: int = 2 ** 20
    body_memory: int = 64 * 2 ** 20
    output_buffer_size: int = 256 * 2 ** 10
    output_spool_size: int = 16 * 2 ** 20
