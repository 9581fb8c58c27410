"""Clients of a service: which server gets the next request.

`Balancer` chooses servers in Python programs. The modules `requests`, `httpx`
and `urllib3` make these libraries use it.
"""
from zc.zk.balancing.balancer import Balancer
from zc.zk.balancing.balancer import NoServers

__all__ = ['Balancer', 'NoServers']
