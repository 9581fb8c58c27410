"""Which tests are of one form of the server only."""
from __future__ import annotations

import pytest
from zope.server.form import COMPILED
from zope.server.form import form

# Objects of compiled classes take no other methods, and functions that are
# compiled take no other classes than their annotations say.
interpreted = pytest.mark.skipif(
    form() == COMPILED,
    reason='puts something else in the place of compiled code')
