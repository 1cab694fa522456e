"""What an API id looks like: it stands in paths and in headers."""

from __future__ import annotations

import re

_API_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}", re.ASCII)


def is_api_id(name: str) -> bool:
    """Tell whether *name* can be an API id."""
    return _API_ID.fullmatch(name) is not None
