"""Times and durations as people read them."""

from __future__ import annotations

from datetime import datetime


def unix(time: str) -> float:
    """Return the Unix seconds of an RFC 3339 time."""
    return datetime.fromisoformat(time).timestamp()


def clock(time: str, since: str = "") -> str:
    """Return an RFC 3339 time as this machine's clock shows it; with its date unless that is the same as *since*'s."""
    local = datetime.fromisoformat(time).astimezone()
    same_day = since and datetime.fromisoformat(since).astimezone().date() == local.date()
    return f"{local:%H:%M:%S}" if same_day else f"{local:%Y-%m-%d %H:%M:%S}"


def zone(time: str) -> str:
    """Return the offset that this machine's clock has at an RFC 3339 time: "UTC+01:00"."""
    offset = f"{datetime.fromisoformat(time).astimezone():%z}"
    return f"UTC{offset[:3]}:{offset[3:]}" if offset.strip("+-0") else "UTC"


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: "0.3 s", "1 min 12 s", "2 h 3 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
