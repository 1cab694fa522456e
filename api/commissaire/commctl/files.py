"""Files that a user names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commissaire.commctl.errors import CommctlError

if TYPE_CHECKING:
    from pathlib import Path


def read_text(path: Path, what: str) -> str:
    """Return the text of *path*, `~` expanded. Raises CommctlError, calling it *what*, when it can't be read."""
    try:
        return path.expanduser().read_text(encoding="utf-8")
    except OSError as error:
        raise CommctlError(f"the {what} {path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommctlError(f"the {what} {path} is no text") from None
