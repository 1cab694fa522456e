"""What a file was before it was replaced: beside it, named after the time, only the newest few."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress

KEPT = 5
_STAMP = r"\.[0-9]{8}T[0-9]{6}\.[0-9]{6}Z\.bak~"
_LENGTH = len(".20261128T135721.123456Z.bak~")


def name_for(name: str, folder: str) -> str:
    """Return what the backup of file `name`, now replaced in `folder`, is called.

    Some programs read a folder `*.d` whole (interfaces.d/*): there it is hidden, so that none takes it for a part.
    """
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds)) + f".{nanoseconds // 1000:06}Z"
    return f"{_stem(name, folder)}.{stamp}.bak~"


def reap(name: str, folder: str, parent: int) -> None:
    """Remove all but the newest backups of file `name` in `folder`, which is open as `parent`."""
    pattern = re.compile(re.escape(_stem(name, folder)) + _STAMP)
    with suppress(OSError):
        readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent)
        try:
            found = sorted(entry for entry in os.listdir(readable) if pattern.fullmatch(entry))
            for old in found[:-KEPT]:
                os.unlink(old, dir_fd=readable)
        finally:
            os.close(readable)


def _stem(name: str, folder: str) -> str:
    stem = "." + name if folder.endswith(".d") and not name.startswith(".") else name
    return os.fsdecode(os.fsencode(stem)[: 255 - _LENGTH])
