"""The file that the agent is."""

from __future__ import annotations

END_OF_ARCHIVE = b"PK\5\6"
MOST_COMMENT = 65536


def is_one_file(path: str) -> bool:
    """Return whether the file at *path* is a program as zipapp makes them."""
    try:
        with open(path, "rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - MOST_COMMENT))
            return END_OF_ARCHIVE in file.read()
    except OSError:
        return False
