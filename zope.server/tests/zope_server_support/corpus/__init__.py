"""HTTP cases as data: what is sent, and what must come of it.

`case` describes one, `running` runs one, `application` is what they are
addressed to.  ``python -m zc.zkzopeserver.tests.http_corpus.compare`` runs
all of them against this server and against waitress.
"""
from __future__ import annotations

from zc.zkzopeserver.tests.http_corpus import advisories
from zc.zkzopeserver.tests.http_corpus import applications
from zc.zkzopeserver.tests.http_corpus import chunked
from zc.zkzopeserver.tests.http_corpus import connections
from zc.zkzopeserver.tests.http_corpus import fields
from zc.zkzopeserver.tests.http_corpus import lengths
from zc.zkzopeserver.tests.http_corpus import limits
from zc.zkzopeserver.tests.http_corpus import request_lines
from zc.zkzopeserver.tests.http_corpus import targets
from zc.zkzopeserver.tests.http_corpus.case import Case

MODULES = (request_lines, targets, fields, lengths, chunked, connections,
           limits, advisories, applications)
CASES: tuple[Case, ...] = tuple(
    found for module in MODULES for found in module.CASES)
