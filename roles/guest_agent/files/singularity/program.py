"""The file that the agent is."""

from __future__ import annotations

import sys
from typing import List

END_OF_ARCHIVE = b"PK\5\6"
MOST_COMMENT = 65536


def interpreter() -> List[str]:
    """Return the words that start this Python as it was started: isolated from the user's modules, or not."""
    return [sys.executable, *(["-I"] if sys.flags.isolated else [])]


def is_one_file(path: str) -> bool:
    """Return whether the file at *path* is a program as zipapp makes them."""
    try:
        with open(path, "rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - MOST_COMMENT))
            return END_OF_ARCHIVE in file.read()
    except OSError:
        return False
