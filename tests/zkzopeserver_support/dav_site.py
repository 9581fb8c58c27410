"""WsgiDAV: a folder as a WebDAV share."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from wsgidav.fs_dav_provider import FilesystemProvider
from wsgidav.wsgidav_app import WsgiDAVApp


def make_application(folder: Path) -> Any:
    """Return a share of a folder that everybody may write."""
    return WsgiDAVApp({
        'provider_mapping': {'/': FilesystemProvider(str(folder))},
        'simple_dc': {'user_mapping': {'*': True}}, 'verbose': 1,
        'logging': {'enable_loggers': []}, 'dir_browser': {'enable': False},
        'lock_storage': True, 'property_manager': True})
