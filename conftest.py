"""Fixtures for the tests of all three distributions."""
import os
import sys

pytest_plugins = ['zc.zk.testing.fixtures']

# Python processes that tests start have what the tests have: bin/test has its
# eggs from its own sys.path.  Tests of generated scripts take it away again.
os.environ['PYTHONPATH'] = os.pathsep.join(filter(None, sys.path))
