"""The difference that a task would make, as text: what `--diff` has modules return, from hosts of any kind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import unified_diff
from typing import Any

LIMIT = 16_000
"""So many characters of a task's diff are kept."""
_MOST_LINES = 1000
_MOST_PARTS = 100
_UNTOLD = {"src_binary", "dst_binary", "src_larger", "dst_larger"}


def diff_text(result: dict[str, Any]) -> str:
    """Return the diff in a task's *result*, or in those of its loop; "" when there is none, and under `no_log`."""
    text = ""
    for part in _parts(result):
        text += f"\n{part}" if text and part else part
        if len(text) > LIMIT:
            return f"{text[:LIMIT]}\n(cut off here)"
    return text


def _parts(result: dict[str, Any]) -> Iterator[str]:
    if result.get("diff") or _is_hidden(result):
        yield from _own(result)
        return
    loop = result.get("results")
    for one in loop[:_MOST_PARTS] if isinstance(loop, list) else ():
        if isinstance(one, dict) and one.get("changed"):
            yield from _own(one)


def _own(result: dict[str, Any]) -> Iterator[str]:
    diff = result.get("diff")
    if not _is_hidden(result):
        yield from (_told(part) for part in (diff if isinstance(diff, list) else [diff])[:_MOST_PARTS])


def _is_hidden(result: dict[str, Any]) -> bool:
    return bool(result.get("_ansible_no_log")) or "censored" in result


def _told(part: Any) -> str:
    if not isinstance(part, dict):
        return ""
    if part.get("prepared"):
        return str(part["prepared"]).rstrip()[: LIMIT + 1]
    if "before" not in part and "after" not in part:
        return "(a file that is binary or too large to be compared)" if part.keys() & _UNTOLD else ""
    before, after = (_lines(part.get(side)) for side in ("before", "after"))
    old, new = (f"{side}: {str(part.get(f'{side}_header') or '')[:500]}".rstrip(": ") for side in ("before", "after"))
    return "\n".join(unified_diff(before, after, old, new, lineterm=""))


def _lines(side: Any) -> list[str]:
    try:
        text = side if isinstance(side, str) else "" if side is None else json.dumps(side, indent=2, sort_keys=True)
    except (RecursionError, TypeError, ValueError):
        text = "(nothing that can be told)"
    return text[:LIMIT].splitlines()[:_MOST_LINES]
