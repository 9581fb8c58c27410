"""The HTTP server by the names of zope.server 5: `wsgihttpserver`."""
