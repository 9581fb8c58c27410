"""Ask for connections that fail."""
import gc
import re
import time

import pytest
import zc.zk

SECRET = 'opensesame'


def fails(*args, **options):
    """Connect in vain; return the error's text, and the seconds it took."""
    started = time.monotonic()
    with pytest.raises(zc.zk.FailedConnect) as info:
        zc.zk.ZooKeeper(*args, **options)
    gc.collect()  # what is left open warns now
    return str(info.value), time.monotonic() - started


def told_seconds(text):
    """Return the seconds in an error's text: more on a slow machine."""
    told = re.match(r'no ZooKeeper answered within (\d+\.\d) s at ', text)
    return float(told[1])
