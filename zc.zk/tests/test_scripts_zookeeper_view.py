"""`zookeeper_view` as a process; test_view_server.py is about its answers."""
import os
import re
import signal
import subprocess
import sys
import urllib.request

CODE = ('import sys; from zc.zk.scripts.zookeeper_view import main;'
        ' sys.exit(main())')


def test_it_says_where_it_serves(zookeeper, client):
    """At once, also where its output is no terminal."""
    client().create('/service')
    environ = {name: value for name, value in os.environ.items()
               if name != 'PYTHONUNBUFFERED'}
    with subprocess.Popen(
            [sys.executable, '-c', CODE, '--listen', '127.0.0.1:0',
             zookeeper.connection_string, '/service'],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**environ, 'PYTHONPATH': os.pathsep.join(
                filter(None, sys.path))}) as process:
        try:
            said = process.stdout.readline()
            url = re.fullmatch(
                r'zookeeper_view: (http://127\.0\.0\.1:\d+/)\n', said)[1]
            with urllib.request.urlopen(url, timeout=60) as answer:
                assert answer.status == 200
            process.send_signal(signal.SIGINT)
            assert process.communicate() == ('', 'zookeeper_view: stopped\n')
            assert process.returncode == 0
        finally:
            process.kill()
