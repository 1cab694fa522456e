"""What `--noop` shows: changes as unified diffs."""

from __future__ import annotations

import difflib
from typing import List

from singularity.paths import normal
from singularity.transaction import Change


def unified(change: Change, before: bytes | None, hidden: bool = False) -> str:
    """Return `change` of a file that holds `before` (None: is not there) as a diff; only its heads if `hidden`."""
    path = normal(change.path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    old = "/dev/null" if before is None else path
    new = "/dev/null" if change.content is None else path
    if hidden:
        return f"--- {old}\n+++ {new}\n(passwords, which are not shown)\n"
    if b"\0" in (before or b"") or b"\0" in (change.content or b""):
        return f"--- {old}\n+++ {new}\nBinary files differ\n"
    lines = list(difflib.unified_diff(_lines(before), _lines(change.content), old, new))
    if not lines:
        return f"--- {old}\n+++ {new}\n(the owner or the mode)\n"
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _lines(content: bytes | None) -> List[str]:
    text = (content or b"").decode("utf-8", "backslashreplace")
    return text.splitlines(keepends=True)
