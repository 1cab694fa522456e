"""Progress for logs and pipes: plain lines."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from commissaire.commctl.output import printable, say, tell
from commissaire.commctl.progress import Progress, Row, seconds

if TYPE_CHECKING:
    from collections.abc import Callable


class LineView:
    """A View of one line a change: time, address, state, phase, seconds, message."""

    keeps_messages = True

    def __init__(self, progress: Progress, operation: str, now: Callable[[], float]) -> None:
        self._progress = progress
        self._operation = operation
        self._now = now

    def __enter__(self) -> LineView:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def host(self, row: Row) -> None:
        took = seconds(row, self._now())
        cells = [
            f"{printable(row['address']):<15}",
            f"{printable(row.get('state') or ''):<11}",
            f"{printable(row.get('phase') or '-'):<10}",
            f"{'-' if took is None else f'{took:.1f} s':>8}",
            printable(row.get("message") or ""),
        ]
        self._line("  ".join(cells).rstrip())

    def operation(self) -> None:
        state = self._progress.operation["state"]
        self._line(f"{printable(self._progress.title)}, operation {self._operation}: {state}")

    def note(self, text: str) -> None:
        tell(text or "connected again")

    def _line(self, text: str) -> None:
        say(f"{time.strftime('%H:%M:%S')}  {text}")
