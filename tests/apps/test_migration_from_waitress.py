"""doc/migration.txt names each option of waitress, and no other."""
from waitress.adjustments import Adjustments
from zkzopeserver_support.migration import names


def test_each_option_of_waitress_is_named():
    assert names('waitress') == {name for name, _ in Adjustments._params}
