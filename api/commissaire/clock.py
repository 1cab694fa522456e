"""Times as records keep them: aware in the code, naive UTC in v0's answers."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)


def rfc3339(time: datetime | None) -> str | None:
    """Write *time* as v1 shows it: `2026-11-21T09:00:00.123456Z`."""
    return None if time is None else f"{_naive(time).isoformat(timespec='microseconds')}Z"


def naive_iso(time: datetime | None) -> str | None:
    """Write *time* as v0 shows it: naive UTC with microseconds."""
    return None if time is None else _naive(time).isoformat(timespec="microseconds")


def _naive(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time
