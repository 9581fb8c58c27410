"""Run a part of kazoo's own tests, twice in a row on one server.

All of them take minutes: ``python -m zc_zk_support.kazoo_suite``.
"""
import re
import subprocess
import sys


def test_kazoos_own_tests_of_its_client_pass_twice():
    result = subprocess.run(
        [sys.executable, '-m', 'zc_zk_support.kazoo_suite', '--only',
         'test_client', '-k', 'TestClient or TestAuthentication'],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert result.returncode == 0, result.stdout
    passed = re.findall(r'^(\d+) passed', result.stdout, re.MULTILINE)
    assert len(passed) == 2
    assert int(passed[0]) > 80
