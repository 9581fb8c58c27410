"""Try the unit of a follower, beside Debian's unit of HAProxy.

Part of try_units.py: the follower keeps the servers of ``shop-web``.
"""
from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from machine import Machine
from machine import wait_for

UNIT = 'lb'
UNIT_FILE = '/srv/shop/parts/lb/lb.service'
FILE = '/srv/shop/parts/lb/lb.cfg'

# As doc/site.txt has it in production.
SECTION = """\
[lb]
recipe = zc.zkzopeserver:follow
zookeeper = 127.0.0.1:2181
paths = /shop/web/providers
format = haproxy
options = check inter 2s
socket = /run/haproxy/shop.sock
listen = 127.0.0.1:9102
systemd-unit = WatchdogSec=6
configuration =
    global
        stats socket ${:socket} mode 600 level admin
    defaults
        mode http
        timeout connect 5s
        timeout client 60s
        timeout server 60s
        retries 3
        option redispatch 1
    frontend public
        bind 127.0.0.1:8443 ssl crt /etc/haproxy/shop.pem
        http-request set-header X-Forwarded-For %[src]
        http-request set-header X-Forwarded-Proto https
        default_backend web
"""

DEFAULTS = ('EXTRAOPTS="-S /run/haproxy-master.sock'
            ' -f /srv/shop/parts/lb/haproxy.cfg -f /srv/shop/parts/lb/lb.cfg"'
            '\n')

# Prints the process that answers by TLS, or why there is none.
ASK = """\
import json, ssl, urllib.request
try:
    print(json.load(urllib.request.urlopen(
        'https://127.0.0.1:8443/', timeout=10,
        context=ssl._create_unverified_context()))['pid'])
except Exception as error:
    print(error)
"""

Check = Callable[[str, object, object], None]


def install(machine: Machine) -> None:
    """Write what HAProxy needs besides the part."""
    with TemporaryDirectory() as folder:
        subprocess.run(
            ['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes',
             '-days', '2', '-subj', '/CN=localhost', '-keyout', 'key',
             '-out', 'certificate'], cwd=folder, check=True,
            stderr=subprocess.DEVNULL)
        text = ''.join((Path(folder) / name).read_text()
                       for name in ('certificate', 'key'))
    machine.write('/etc/haproxy/shop.pem', text, 0o600)
    machine.write('/etc/default/haproxy', DEFAULTS)
    machine.write('/srv/shop/ask.py', ASK)
    # It cannot start before the list was written for the first time.
    machine.inside('systemctl', 'disable', 'haproxy')


def answering(machine: Machine) -> str:
    """Return the process that answers through HAProxy, '' for none."""
    text = machine.run('/srv/shop/.venv/bin/python', '/srv/shop/ask.py',
                       check=False).strip()
    return text if text.isdigit() else ''


def try_all(machine: Machine, check: Check) -> None:
    """Start it as the document says, hang it, kill it, restart HAProxy."""
    machine.run('/srv/shop/bin/lb', '--once', '--socket=', '--check=',
                '--reload=')
    machine.run('systemctl', 'enable', '--now', 'haproxy')
    told = machine.run('systemctl', 'enable', '--now', UNIT_FILE, check=False)
    shown = machine.shown(UNIT)
    check('follower: started', (shown['ActiveState'], shown['Type']) == (
        'active', 'notify'), [shown[name] for name in (
            'ActiveState', 'SubState', 'Type')] + [told])
    wait_for(lambda: answering(machine), 30, 'no answer by HAProxy')
    check('follower: HAProxy answers by TLS', True, answering(machine))
    before = machine.read(FILE)
    machine.run('systemctl', 'restart', 'shop-web')
    start = time.monotonic()
    wait_for(lambda: answering(machine) and machine.read(FILE) != before, 60,
             'the follower does not follow')
    check('follower: follows a restart', True,
          f'answers after {time.monotonic() - start:.1f} s')
    for name, signal in (('watchdog (WatchdogSec=6)', '-STOP'),
                         ('killed', '-KILL')):
        main = machine.shown(UNIT)['MainPID']
        machine.run('kill', signal, main)
        start = time.monotonic()
        wait_for(lambda: (found := machine.shown(UNIT))['MainPID'] not in (
            '0', main) and found['ActiveState'] == 'active',    # noqa: B023
            60, 'not started again')
        check(f'follower: {name}', answering(machine),
              f'active again after {time.monotonic() - start:.0f} s')
    machine.run('systemctl', 'restart', 'haproxy')
    wait_for(lambda: answering(machine), 30, 'no answer by HAProxy')
    machine.run('systemctl', 'restart', 'shop-web')
    wait_for(lambda: answering(machine), 30, 'no answer by HAProxy')
    check('follower: HAProxy was restarted', True, answering(machine))
    shown = json.loads(machine.run(
        '/srv/shop/.venv/bin/python', '-c', 'import json, urllib.request;'
        'print(json.dumps(urllib.request.urlopen("http://127.0.0.1:9102'
        '/metrics").read().decode()))'))
    check('follower: metrics', 'follow_servers{path="/shop/web/providers"} 2'
          in shown, [line for line in shown.splitlines()
                     if 'follow_servers{' in line])
    start = time.monotonic()
    machine.run('systemctl', 'stop', UNIT)
    result = machine.shown(UNIT)['Result']
    check('follower: stop', result == 'success' and answering(machine),
          f'{result} after {time.monotonic() - start:.1f} s')
    machine.run('systemctl', 'start', UNIT)
    log = machine.run('journalctl', '-u', UNIT, '--no-pager', '-o', 'cat')
    check('follower: no traceback', 'Traceback' not in log,
          ' / '.join(log.splitlines()[-3:]))


def try_reboot(machine: Machine, check: Check) -> None:
    """See whether HAProxy and the follower are there after a boot."""
    wait_for(lambda: answering(machine), 60, 'no answer by HAProxy')
    wait_for(lambda: machine.shown(UNIT)['ActiveState'] == 'active', 60,
             'the follower is not active')
    check('follower: reboot', True, answering(machine))
