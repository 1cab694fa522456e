"""What an update leaves when the agent is killed in the midst of it."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from contextlib import suppress

NEW = ".new"
SIGNATURE = ".sig"
TRIAL = "trial-"
OLD_SECONDS = 60
"""No update takes so long: what is older is nobody's."""


def sweep(run: str) -> None:
    """Remove such things beside the running program, and in the folder of the pidfile."""
    program = os.path.abspath(sys.argv[0])
    beside, name = os.path.split(program)
    new = rf"{re.escape(name)}\.[0-9a-f]{{8}}{re.escape(NEW)}({re.escape(SIGNATURE)})?"
    for path in (*_below(beside, new), *_below(run, f"{TRIAL}[0-9a-f]{{16}}")):
        with suppress(OSError):
            if time.time() - os.lstat(path).st_mtime < OLD_SECONDS:
                continue
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)


def _below(folder: str, pattern: str) -> "list[str]":
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [os.path.join(folder, name) for name in names if re.fullmatch(pattern, name)]
