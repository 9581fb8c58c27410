"""Values that are nobody's business, hidden."""
from __future__ import annotations

import re

MASK = '********'

_is_secret = re.compile(
    r'passw|passphrase|secret|token|credential|(^|[-_.])(auth|key)$'
    r'|(private|api|access|session|signing|encryption)[-_.]?key',
    re.IGNORECASE).search
_in_url = re.compile(r'(://[^/\s:@]*:)\S+(?=@)')
_in_dsn = re.compile(
    r'((?:^|[\s;,?&])(?:password|passwd|pwd|secret|token)\s*=\s*)'
    r"('[^']*'|[^\s;,&']+)", re.IGNORECASE)

# They look it, and are names of files.
PATHS = 'zookeeper_auth_file', 'zookeeper_key'


def masked(name: str, value: str) -> str:
    """The value of an option, without what looks like a secret.

    By the option's name, or in the value: a URL or DSN with a password.
    """
    if name in PATHS or not value:
        return value
    if _is_secret(name):
        return MASK
    return _in_dsn.sub(rf'\1{MASK}', _in_url.sub(rf'\1{MASK}', value))
