"""Caddy's admin API: the upstreams of a ``reverse_proxy`` with an ``@id``.

Source: caddyserver.com/docs/api. The handler in Caddy's JSON configuration has
``"@id": NAME``; its member ``upstreams`` is what is read and replaced. Each
change starts the whole configuration anew, by whichever path, and idle
connections of clients are closed (caddyserver/caddy#3143): a few requests that
are on their way are lost, unless clients repeat them.
"""
from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.request
from typing import Any

#: The time that Caddy has for one answer.
TIMEOUT_S = 5.0

#: The longest answer that is read.
MAX_BYTES = 2 ** 24

_is_place = re.compile(r'[A-Za-z0-9.\[\]:-]+:[0-9]+').fullmatch


class CaddyAPI:
    """A client of the admin API at HOST:PORT.

    Methods raise OSError, with a text, when Caddy does not do it.
    """

    def __init__(self, where: str) -> None:
        if not _is_place(where):
            raise ValueError(f"{where!r} is no HOST:PORT of Caddy's admin API")
        self._url = f'http://{where}/id/'
        # No proxy of the environment stands between.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}))

    def upstreams(self, name: str) -> Any:
        """Return what Caddy has."""
        return json.loads(self._ask('GET', name) or b'null')

    def set_upstreams(self, name: str, upstreams: list[dict[str, Any]],
                      replace: bool) -> None:
        """Set what Caddy has, until it is loaded or started again.

        `replace` is whether it has a list already.
        """
        # PATCH replaces what is there, PUT makes what is not; POST would
        # append to a list.
        self._ask('PATCH' if replace else 'PUT', name,
                  json.dumps(upstreams).encode())

    def _ask(self, method: str, name: str,
             data: bytes | None = None) -> bytes:
        request = urllib.request.Request(
            f'{self._url}{name}/upstreams', data, method=method,
            headers={'Content-Type': 'application/json'})
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                return answer.read(MAX_BYTES)
        except urllib.error.HTTPError as error:
            with error:
                why = error.read(300).decode('utf-8', 'replace').strip()
            raise OSError(f'{method} {request.full_url}: {error.code} {why}'
                          ) from None
        except urllib.error.URLError as error:
            raise OSError(f'{request.full_url}: {error.reason}') from None
        except http.client.HTTPException as error:
            raise OSError(f'{request.full_url}: {error!r}') from None
