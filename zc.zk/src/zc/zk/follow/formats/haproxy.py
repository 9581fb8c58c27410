"""HAProxy: a complete ``backend`` for each service.

Sources: the Configuration Manual of HAProxy 2.6, sections 4.2 and 5.2, and
its Management Guide, section 9.3. The file is loaded as a further ``-f``; what
runs is changed on the admin socket, see `zc.zk.follow.haproxy`.
"""
from __future__ import annotations

from collections.abc import Sequence

from zc.zk.follow.formats.format import FILE
from zc.zk.follow.formats.format import INTEGER
from zc.zk.follow.formats.format import POSITIVE
from zc.zk.follow.formats.format import TIME
from zc.zk.follow.formats.format import WORD
from zc.zk.follow.formats.format import Format
from zc.zk.follow.formats.format import Word
from zc.zk.follow.formats.format import header
from zc.zk.follow.upstream import Target
from zc.zk.follow.upstream import Upstream


class HAProxy(Format):
    """``backend NAME``, with a ``server`` for each address."""

    name = 'haproxy'
    check = 'haproxy -c -f /etc/haproxy/haproxy.cfg -f {file}'
    reload = 'systemctl reload haproxy'
    delay_s = 0.5
    words = {
        'check': Word(),
        'inter': Word(TIME),
        'fastinter': Word(TIME),
        'downinter': Word(TIME),
        'rise': Word(POSITIVE),
        'fall': Word(POSITIVE),
        'observe': Word('layer4|layer7'),
        'error-limit': Word(POSITIVE),
        'on-error': Word('fastinter|fail-check|sudden-death|mark-down'),
        'on-marked-down': Word('shutdown-sessions'),
        'slowstart': Word(TIME),
        'maxconn': Word(INTEGER),
        'maxqueue': Word(INTEGER),
        'pool-max-conn': Word(INTEGER),
        'pool-purge-delay': Word(TIME),
        'send-proxy': Word(),
        'send-proxy-v2': Word(),
        'ssl': Word(),
        'verify': Word('none|required'),
        'ca-file': Word(FILE),
        'crt': Word(FILE),
        'alpn': Word(WORD),
        'proto': Word('h1|h2'),
        'balance': Word('roundrobin|static-rr|leastconn|first|source|uri|'
                        'random', 'upstream'),
        'hash-type': Word('map-based|consistent', 'upstream'),
        'mode': Word('http|tcp', 'upstream'),
        'retries': Word(INTEGER, 'upstream'),
        'option': Word('redispatch|httpchk|forwardfor|http-keep-alive|'
                       'http-server-close|prefer-last-server', 'upstream'),
        'http-reuse': Word('never|safe|aggressive|always', 'upstream'),
        'fullconn': Word(POSITIVE, 'upstream'),
    }

    def render(self, upstreams: Sequence[Upstream]) -> str:
        """Return the backends."""
        return header(upstreams) + ''.join(
            '\n' + self._backend(upstream) for upstream in upstreams)

    def _backend(self, upstream: Upstream) -> str:
        lines = [*self.of('upstream'),
                 *(f'server {target.identifier} {target.address} '
                   + self.server_options(target)
                   for target in upstream.targets)]
        return (f'backend {upstream.name}\n'
                + ''.join(f'    {line}\n' for line in lines))

    def server_options(self, target: Target) -> str:
        """Return what follows the address of a server.

        HAProxy ignores the ``default-server`` of a backend for servers that
        are added on its socket, and their weight is 1 by default: so all is
        told for each.
        """
        return ' '.join([f'weight {target.weight}', *self.of('server')])

    @property
    def has_check(self) -> bool:
        """Whether the servers are checked, which has to be enabled."""
        return 'check' in self.of('server')
