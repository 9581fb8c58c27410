"""Call a command of zc.zk in this process, as a shell would."""
import contextlib
import io
import sys
from unittest import mock

#: A tree for the commands to import.
TREE = """\
/cms : z4m cms
  threads = 3
  /providers
/lb : ipvs
  /pools
    address = '1.2.3.4:80'
    providers -> /cms/providers
"""


def run_command(script, *args, status=None, stdin=None):
    """Return what a command writes: its errors if it ends with status 2.

    `status` is the exit status to expect, None for 0. Standard error is empty
    unless it is 2.
    """
    out, err = io.StringIO(), io.StringIO()
    given = io.TextIOWrapper(io.BytesIO((stdin or '').encode()))
    with (contextlib.redirect_stdout(out), contextlib.redirect_stderr(err),
          mock.patch.object(sys, 'stdin', given)):
        try:
            done = script(list(args))
        except SystemExit as error:
            done = error.code
    assert done == status, (done, out.getvalue(), err.getvalue())
    if status == 2:
        return err.getvalue()
    assert err.getvalue() == ''
    return out.getvalue()
