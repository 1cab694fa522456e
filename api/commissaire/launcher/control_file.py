"""The file by which a running playbook is told that no further hosts are to start; the collection reads it."""

from __future__ import annotations

import contextlib
from pathlib import Path


class ControlFile:
    """The control file in an operation's private folder."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "control"

    def tell(self, halt: str | None, reason: str) -> None:
        """Say *halt* (pause, stop) and why, or that nothing is in the way; no-op once the folder is gone."""
        with contextlib.suppress(FileNotFoundError):
            if halt is None:
                self.path.unlink()
                return
            words = f"{halt} {' '.join(reason.split())}\n"
            if self.path.exists() and self.path.read_text(encoding="utf-8") == words:
                return  # asked again and again, also while the disk is full
            new = self.path.with_suffix(".new")
            new.write_text(words, encoding="utf-8")
            new.replace(self.path)
