"""The guest's time and its zone."""

from __future__ import annotations

import os
import time
from typing import Any

from .memory import in_memory
from .session import Session

MAGIC = b"TZif"
"""How a zone's file begins: tzfile(5)."""


def now(session: Session) -> int:
    return time.time_ns()


def timezone(session: Session) -> dict[str, Any]:
    """Return the zone's abbreviation and its offset in seconds, which changes with summer time."""
    if session.guest.settings.root == "/":
        time.tzset()  # /etc/localtime may be another than when this program began
        return _present()
    content = session.content("/etc/localtime")
    if not content.startswith(MAGIC):
        return {"zone": "UTC", "offset": 0}
    with in_memory(content) as file:
        return _elsewhere(f"/proc/self/fd/{file.fileno()}")


def _present() -> dict[str, Any]:
    here = time.localtime()
    return {"zone": here.tm_zone, "offset": here.tm_gmtoff}


def _elsewhere(zone_file: str) -> dict[str, Any]:
    """Look through the eyes of a zone's file; of one that is broken, the C library makes an offset of 0."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = f":{zone_file}"
    try:
        time.tzset()
        return _present()
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()
