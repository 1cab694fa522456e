"""Time zones by their IANA names."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StrictStr


def check_time_zone(name: str) -> str:
    """Return *name* when it is a time zone's, else raise ValueError."""
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:
        raise ValueError("it is no time zone; give an IANA name like Europe/Berlin") from error
    return name


TimeZone = Annotated[
    StrictStr, AfterValidator(check_time_zone), Field(max_length=64, description="An IANA name, like `Europe/Berlin`.")
]
