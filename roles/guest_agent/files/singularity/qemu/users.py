"""Who is logged in, by utmp(5)."""

from __future__ import annotations

import os
import struct
from typing import Any, Iterator

from .session import Session

USER_PROCESS = 7
NARROW = struct.Struct("=hxxi32s4s32s256shhiii4i20x")
"""Where times have 32 bits also on 64-bit machines (x86, POWER, s390x, RISC-V)."""
WIDE = struct.Struct("=hxxi32s4s32s256shhqqq4i20x4x")
"""AArch64, which has no 32-bit past."""


def users(session: Session) -> list[dict[str, Any]]:
    """Return each user once, with the time of the first of the present logins."""
    content = session.content("/run/utmp")
    first: dict[str, float] = {}
    for user, since in logins(content, WIDE if os.uname().machine == "aarch64" else NARROW):
        first[user] = min(since, first.get(user, since))
    return [{"user": user, "login-time": since} for user, since in first.items()]


def logins(content: bytes, layout: struct.Struct) -> Iterator[tuple[str, float]]:
    """Yield the users of a utmp file's entries, and since when."""
    whole = len(content) - len(content) % layout.size
    for entry in layout.iter_unpack(content[:whole]):
        kind, user, seconds, microseconds = entry[0], entry[4], entry[9], entry[10]
        if kind == USER_PROCESS:
            yield user.split(b"\0", 1)[0].decode(errors="replace"), seconds + microseconds / 1e6
