"""The HTTP engine behind `zc.zkzopeserver.server`.

From the socket inwards: `polling` tells which connections have something to
do, `loop` lets them do it, `channel` is a connection, `parser`, `target`,
`request`, `body` and `memory` make a request of its bytes, `workers` run
requests, `task` calls the application, `response` makes bytes of what it
answers and `output` sends them.  `settings` holds every limit.

Nothing here knows of zope.server.
"""
