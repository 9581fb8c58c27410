"""Try a deployment under a real systemd, and print what each check shows.

    bin/py tests/systemd/try_units.py FOLDER

makes a Debian in FOLDER (once; some 400 MB), installs this checkout there,
lets root's buildout make a deployment, and boots it.  It ends with status 1
when a check has failed.  It needs root, and the Debian packages debootstrap
and systemd-container; see CONTRIBUTING.txt.
"""
from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import try_follower
from machine import Machine
from machine import wait_for

UNIT = 'shop-web'
UNIT_FILE = f'/etc/shop/{UNIT}.service'
SECRET = 'tr0ub4dor'

BUILDOUT = """\
[buildout]
parts = web lb
offline = true
newest = false

[production]
recipe = zc.recipe.deployment
name = shop
user = shop

[web]
recipe = zc.zkzopeserver
deployment = production
app = call:shopapp:make
extra-paths = lib
zookeeper = 127.0.0.1:2181
path = /shop/web/providers
host = 127.0.0.1
workers = 2
access_log = access.log
deregister_wait = 0.2
environment-vars =
    DB_PASSWORD tr0ub4dor
    SHOP yes
systemd = true
systemd-unit = WatchdogSec=6
logrotate = true
tree =
    /shop
      /web
        /providers

""" + try_follower.SECTION

APPLICATION = """\
import json
import os
import time


def make(global_conf):
    def app(environ, start_response):
        if environ['PATH_INFO'] == '/slow':
            time.sleep(4)
        body = json.dumps({
            'uid': os.getuid(), 'cwd': os.getcwd(), 'pid': os.getpid(),
            'secret': os.environ.get('DB_PASSWORD'),
            'shop': os.environ.get('SHOP')}).encode()
        start_response('200 OK', [('Content-Type', 'application/json')])
        return [body]
    return app
"""

ZOOKEEPER = """\
[Service]
ExecStart=/srv/shop/.venv/bin/zookeeper_embedded --data /var/lib/zk.data
[Install]
WantedBy=multi-user.target
"""

# Fetches pages for some seconds from what is registered; prints the failures.
LOAD = """\
import sys, time, urllib.request
from zc.zk import ZooKeeper
path, seconds, count, failed = sys.argv[1], float(sys.argv[2]), 0, []
with ZooKeeper('127.0.0.1:2181') as zk:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name in zk.get_children('/shop/web/providers'):
            try:
                urllib.request.urlopen(f'http://{name}{path}', timeout=30
                                       ).read()
            except Exception as error:
                failed.append(f'{name} {error}')
            count += 1
print(count, 'requests,', len(failed), 'failed', failed[:3])
"""

NODES = """\
import json
from zc.zk import ZooKeeper
with ZooKeeper('127.0.0.1:2181') as zk:
    print(json.dumps({name: dict(zk.get_properties('/shop/web/providers/'
                                                   + name))['pid']
                      for name in zk.get_children('/shop/web/providers')}))
"""

FETCH = """\
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=30).read().decode())
"""

PYTHON = '/srv/shop/.venv/bin/python'

failures: list[str] = []


def check(name: str, is_right: object, shown: object) -> None:
    """Print the result of a check."""
    print(f'{"ok    " if is_right else "FAILED"} {name}: {shown}', flush=True)
    if not is_right:
        failures.append(name)


def install(machine: Machine) -> None:
    """Make user, application and deployment in the machine."""
    machine.inside('useradd', '--system', '--create-home', 'shop')
    machine.write('/srv/shop/buildout.cfg', BUILDOUT)
    machine.write('/srv/shop/lib/shopapp.py', APPLICATION)
    machine.write('/etc/systemd/system/zookeeper.service', ZOOKEEPER)
    for name, text in (('load', LOAD), ('nodes', NODES), ('fetch', FETCH)):
        machine.write(f'/srv/shop/{name}.py', text)
    try_follower.install(machine)
    print(machine.inside(
        'sh', '-c', 'cd /srv/shop && .venv/bin/buildout 2>&1'), flush=True)


def nodes(machine: Machine) -> dict[str, int]:
    """Return the registered servers, {HOST:PORT: pid}."""
    text = machine.run(PYTHON, '/srv/shop/nodes.py', check=False)
    return json.loads(text) if text.startswith('{') else {}


def are_up(machine: Machine) -> Callable[[], dict[str, int]]:
    """Return a function that returns both nodes once they are there."""
    def condition() -> dict[str, int]:
        found = nodes(machine)
        return found if len(found) == 2 else {}
    return condition


def background(machine: Machine, *command: object) -> Callable[[], str]:
    """Start a command; return a function that waits and returns its output.
    """
    printed: list[str] = []
    thread = threading.Thread(target=lambda: printed.append(
        machine.run(*command, check=False)))
    thread.start()

    def wait() -> str:
        thread.join()
        return printed[0].strip()
    return wait


def try_enable(machine: Machine) -> None:
    """Enable and start the unit, as Debian does it."""
    machine.run('systemctl', 'enable', '--now', 'zookeeper')
    machine.run('/srv/shop/bin/web-tree', 'import')
    told = machine.run('systemctl', 'enable', '--now', UNIT_FILE, check=False)
    state = machine.run('systemctl', 'is-enabled', UNIT, check=False).strip()
    check('enable', state == 'enabled' and 'error' not in told,
          (state, ' / '.join(told.split('\n'))))
    told = machine.run('systemctl', 'disable', UNIT, check=False)
    machine.run('systemctl', 'enable', UNIT_FILE)
    again = machine.run('systemctl', 'enable', UNIT, check=False)
    check('enable by name', 'error' not in told + again,
          ' / '.join((told + again).split('\n')))
    wait_for(are_up(machine), 60, 'not registered')
    check('registered', True, nodes(machine))


def try_process(machine: Machine) -> None:
    """Look at the process of the server."""
    address = next(iter(nodes(machine)))
    answer = json.loads(machine.run(PYTHON, '/srv/shop/fetch.py',
                                    f'http://{address}/'))
    uid = int(machine.run('id', '-u', 'shop'))
    check('user, directory, variables',
          (answer['uid'], answer['cwd'], answer['secret'], answer['shop'])
          == (uid, '/', SECRET, 'yes'), {**answer, 'secret': 'there'})
    shown = machine.run('systemctl', 'show', UNIT)
    check('no secret in `systemctl show`', SECRET not in shown, 'none')
    limits = machine.run('cat', f'/proc/{answer["pid"]}/limits')
    line = next(each for each in limits.splitlines() if 'open files' in each)
    check('LimitNOFILE', '5024' in line, ' '.join(line.split()))
    status = machine.run(f'/etc/init.d/{UNIT}', 'status')
    check('status by root', '2 of 2 registered and answering' in status,
          status.splitlines()[0])


def try_reload(machine: Machine) -> None:
    """Reload under load."""
    before = nodes(machine)
    load = background(machine, PYTHON, '/srv/shop/load.py', '/', 20)
    time.sleep(2)
    machine.run('systemctl', 'reload', UNIT)
    after = wait_for(lambda: (found := are_up(machine)()) and not (
        set(found.values()) & set(before.values())) and found, 60,
        'the workers are not replaced')
    told = load()
    check('reload under load', ' 0 failed' in told, (told, before, after))


def try_stop(machine: Machine) -> None:
    """Stop with requests in flight."""
    loads = [background(machine, PYTHON, '/srv/shop/fetch.py',
                        f'http://{address}/slow')
             for address in nodes(machine)]
    time.sleep(1.5)
    start = time.monotonic()
    machine.run('systemctl', 'stop', UNIT)
    took = time.monotonic() - start
    answers = [load() for load in loads]
    shown = machine.shown(UNIT)
    check('stop in flight', all(SECRET in answer for answer in answers)
          and shown['Result'] == 'success',
          f'{len(answers)} answers of requests in flight, stopped after'
          f' {took:.1f} s, result {shown["Result"]}')
    machine.run('systemctl', 'start', UNIT)
    wait_for(are_up(machine), 60, 'not registered')


def try_watchdog(machine: Machine) -> None:
    """Hang the parent; kill it; make an option wrong."""
    main = machine.shown(UNIT)['MainPID']
    machine.run('kill', '-STOP', main)
    start = time.monotonic()
    wait_for(lambda: machine.shown(UNIT)['MainPID'] not in ('0', main), 90,
             'not replaced')
    wait_for(are_up(machine), 60, 'not registered')
    shown = machine.run('journalctl', '-u', UNIT, '--no-pager', '-o', 'cat')
    check('watchdog (WatchdogSec=6)', 'watchdog' in shown.lower(),
          f'replaced and registered after {time.monotonic() - start:.0f} s')
    main = machine.shown(UNIT)['MainPID']
    machine.run('kill', '-KILL', main)
    start = time.monotonic()
    wait_for(lambda: machine.shown(UNIT)['MainPID'] not in ('0', main), 60,
             'not started again')
    wait_for(are_up(machine), 60, 'not registered')
    check('killed', True, 'started again and registered after'
          f' {time.monotonic() - start:.0f} s')
    ini = machine.read('/etc/shop/web.ini')
    machine.write('/etc/shop/web.ini', ini.replace('workers = 2',
                                                   'workers = two'), 0o640)
    machine.run('systemctl', 'restart', UNIT, check=False)
    time.sleep(8)
    shown = machine.shown(UNIT)
    check('exit status 2 is not repeated',
          (shown['ActiveState'], shown['ExecMainStatus']) == ('failed', '2'),
          [shown[name] for name in ('ActiveState', 'Result',
                                    'ExecMainStatus', 'NRestarts')])
    machine.write('/etc/shop/web.ini', ini, 0o640)
    machine.run('systemctl', 'restart', UNIT)
    wait_for(are_up(machine), 60, 'not registered')


def try_logrotate(machine: Machine) -> None:
    """Let Debian's logrotate.service rotate."""
    log = '/var/log/shop/access.log'
    address = next(iter(nodes(machine)))
    machine.run(PYTHON, '/srv/shop/fetch.py', f'http://{address}/before')
    machine.write('/var/lib/logrotate/status', 'logrotate state -- version 2\n'
                  f'"{log}" 2020-1-1-0:0:0\n')
    machine.run('systemctl', 'start', 'logrotate.service', check=False)
    result = machine.shown('logrotate.service')['Result']
    machine.run(PYTHON, '/srv/shop/fetch.py', f'http://{address}/after')
    wait_for(lambda: 'GET /after' in machine.read(log), 10,
             'the new file has no line')
    old, new = machine.read(f'{log}.1'), machine.read(log)
    check('logrotate.service', result == 'success'
          and 'GET /before' in old and 'GET /after' not in old
          and 'GET /after' in new,
          f'{result}; {len(old.splitlines())} lines in access.log.1,'
          f' {len(new.splitlines())} in access.log; '
          + machine.run('sh', '-c', 'journalctl -u logrotate --no-pager -o cat'
                        ' | tail -3').replace('\n', ' / '))


def try_absence(machine: Machine) -> None:
    """Look at a boot without ZooKeeper, which comes a minute later."""
    start = time.monotonic()
    time.sleep(60)
    shown = machine.shown(UNIT)
    check('no ZooKeeper for a minute', shown['Result'] != 'start-limit-hit'
          and int(shown['NRestarts']) > 3,
          [shown[name] for name in ('ActiveState', 'SubState', 'Result',
                                    'NRestarts', 'ExecMainStatus')])
    machine.run('systemctl', 'start', 'zookeeper')
    start = time.monotonic()
    wait_for(are_up(machine), 60, 'not registered')
    check('ZooKeeper comes', True,
          f'registered after {time.monotonic() - start:.0f} s')


def main() -> int:
    """Run all checks; return the exit status."""
    machine = Machine(Path(sys.argv[1]).absolute())
    machine.make()
    install(machine)
    with machine.booted():
        try_enable(machine)
        try_process(machine)
        try_reload(machine)
        try_stop(machine)
        try_watchdog(machine)
        try_logrotate(machine)
        try_follower.try_all(machine, check)
    with machine.booted():
        wait_for(are_up(machine), 60, 'not registered')
        check('reboot', True, nodes(machine))
        try_follower.try_reboot(machine, check)
        # The start of a follower waits for ZooKeeper, and the boot for it.
        machine.run('systemctl', 'disable', 'zookeeper', try_follower.UNIT)
    with machine.booted():
        try_absence(machine)
    print(f'{len(failures)} failed {failures}')
    return bool(failures)


if __name__ == '__main__':
    sys.exit(main())
