"""The limits of a rolling operation: how many hosts may be away at once, and how many may fail."""

from __future__ import annotations

import re
from dataclasses import dataclass

from commissaire.fleet.errors import Invalid

Limit = int | str
"""A number of hosts, or a percentage of the operation's hosts (`"25%"`)."""

DEFAULT_MAX_UNAVAILABLE: Limit = 1
DEFAULT_MAX_FAILURES: Limit = 0
_FORM = re.compile(r"(?:0|[1-9]\d{0,5})%?", re.ASCII)


@dataclass(frozen=True)
class Limits:
    """Limits as numbers of hosts."""

    max_unavailable: int
    max_failures: int


def check_limit(name: str, value: object, *, least: int) -> Limit:
    """Return *value* when it is a number of hosts of at least *least*, or a percentage.

    Raises:
        Invalid: it is neither.
    """
    text = str(value)
    if isinstance(value, bool) or not isinstance(value, int | str) or not _FORM.fullmatch(text):
        raise Invalid(f"{name} must be a number of hosts or a percentage such as 25%, not {value!r}")
    number = int(text.rstrip("%"))
    if number < least or (text.endswith("%") and number > 100):
        most = " and at most 100%" if text.endswith("%") else ""
        raise Invalid(f"{name} must be at least {least}{most}, not {value!r}")
    return text if text.endswith("%") else number


def resolve_canary(canary: Limit, hosts: int) -> int:
    """Turn the number or percentage of hosts that go first into a number; of a percentage it is one at least."""
    return resolve(canary, hosts, least=1 if str(canary).endswith("%") and str(canary) != "0%" else 0)


def resolve(limit: Limit, hosts: int, *, least: int) -> int:
    """Turn *limit* into a number of hosts; a percentage of *hosts* is rounded down, and never falls below *least*."""
    text = str(limit)
    return max(least, hosts * int(text[:-1]) // 100) if text.endswith("%") else int(text)
