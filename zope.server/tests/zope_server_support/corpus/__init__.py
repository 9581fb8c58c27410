"""HTTP cases as data: what is sent, and what must come of it.

`case` describes a case, `running` runs it, and `application` answers it.
``python -m zope_server_support.corpus.compare`` runs all of them against this
server and against waitress.
"""
from __future__ import annotations

from zope_server_support.corpus import advisories
from zope_server_support.corpus import applications
from zope_server_support.corpus import chunked
from zope_server_support.corpus import connections
from zope_server_support.corpus import fields
from zope_server_support.corpus import lengths
from zope_server_support.corpus import limits
from zope_server_support.corpus import request_lines
from zope_server_support.corpus import targets
from zope_server_support.corpus.case import Case

MODULES = (request_lines, targets, fields, lengths, chunked, connections,
           limits, advisories, applications)
CASES: tuple[Case, ...] = tuple(
    found for module in MODULES for found in module.CASES)
