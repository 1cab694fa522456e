"""Names under which other backends keep values: new for each value, and telling how old it is."""

from __future__ import annotations

import re
import secrets
import time

_REFERENCE = re.compile(r"([0-9a-f]{8})-[0-9a-f]{32}")
_OLD_SECONDS = 3600
"""No transaction takes as long: what no record refers to after that, none will."""


def new_reference() -> str:
    """Return a name that nothing had before."""
    return f"{int(time.time()):08x}-{secrets.token_hex(16)}"


def is_unused(name: str, used: set[bytes]) -> bool:
    """Tell whether *name* is one of ours that no record refers to, nor ever will."""
    match = _REFERENCE.fullmatch(name)
    return match is not None and name.encode() not in used and int(match[1], 16) < time.time() - _OLD_SECONDS
