"""nginx: an ``upstream`` block for each service.

Sources: nginx.org/en/docs/http/ngx_http_upstream_module.html. Failures of a
server stay nginx's own to see (`max_fails` is 1 by default), as a killed
server is in ZooKeeper until its session has expired.
"""
from __future__ import annotations

from collections.abc import Sequence

from zc.zk.follow.formats.format import INTEGER
from zc.zk.follow.formats.format import POSITIVE
from zc.zk.follow.formats.format import SIZE
from zc.zk.follow.formats.format import TIME
from zc.zk.follow.formats.format import Format
from zc.zk.follow.formats.format import Word
from zc.zk.follow.formats.format import header
from zc.zk.follow.upstream import Target
from zc.zk.follow.upstream import Upstream

#: What an upstream has that has no server: nginx refuses an empty block. No
#: request is sent to a server that is down; the port is discard's (RFC 863).
NOBODY = '    server 127.0.0.1:9 down;\n'

#: How many servers fit in 64 KiB of the zone that the workers share.
SERVERS_IN_64K = 50

#: The connections to the servers that each worker keeps.
KEEPALIVE = '16'


class Nginx(Format):
    """``upstream NAME {...}``, for a folder such as conf.d."""

    name = 'nginx'
    check = 'nginx -t -q'
    reload = 'nginx -s reload'
    joint = '='
    delay_s = 0.5
    words = {
        'max_fails': Word(POSITIVE),
        'fail_timeout': Word(TIME),
        'max_conns': Word(INTEGER),
        'balance': Word('least_conn|ip_hash|random', 'upstream'),
        'zone': Word(SIZE, 'upstream'),
        'keepalive': Word(INTEGER, 'upstream'),
        'keepalive_timeout': Word(TIME, 'upstream'),
        'keepalive_requests': Word(POSITIVE, 'upstream'),
    }

    def render(self, upstreams: Sequence[Upstream]) -> str:
        """Return the upstream blocks."""
        return header(upstreams) + ''.join(
            '\n' + self._block(upstream) for upstream in upstreams)

    def _block(self, upstream: Upstream) -> str:
        given = dict(text.split('=') for text in self.of('upstream'))
        size = 64 * (1 + len(upstream.targets) // SERVERS_IN_64K)
        lines = [f'zone {upstream.name} {given.pop("zone", f"{size}k")};']
        if 'balance' in given:
            lines.append(f'{given.pop("balance")};')
        servers = ''.join(self._server(target) for target in upstream.targets)
        # keepalive has to come after the algorithm. 0 stands for none: nginx
        # before 1.29 refuses it.
        given.setdefault('keepalive', KEEPALIVE)
        after = [f'{name} {value};' for name, value in given.items()
                 if (name, value) != ('keepalive', '0')]
        return (f'upstream {upstream.name} {{\n'
                + ''.join(f'    {line}\n' for line in lines)
                + (servers or NOBODY)
                + ''.join(f'    {line}\n' for line in after) + '}\n')

    def _server(self, target: Target) -> str:
        words = ['server', target.address]
        if target.weight == 0:
            words.append('down')
        elif target.weight != 1:
            words.append(f'weight={target.weight}')
        return f'    {" ".join(words + self.of("server"))};\n'
