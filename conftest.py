"""Fixtures for the tests of all three distributions."""

pytest_plugins = ['zc.zk.testing.fixtures']
