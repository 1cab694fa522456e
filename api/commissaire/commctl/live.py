"""The live display: every host while they fit the terminal, else those that matter, and counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from commissaire.commctl.output import printable
from commissaire.commctl.progress import Progress, Row, seconds

if TYPE_CHECKING:
    from collections.abc import Callable

STYLES = {
    "finished": "green",
    "running": "yellow",
    "failed": "bold red",
    "skipped": "blue",
    "cancelled": "magenta",
    "paused": "cyan",
    "pending": "dim",
    "not_started": "dim",
}
SPARE_LINES = 5
"""What is not for hosts: title, "and more", counts, note, and the cursor's own line."""
REFRESHES_PER_SECOND = 4


class LiveView:
    """A View that redraws in place, four times a second."""

    keeps_messages = False
    """They are cut to the line: the last picture has none of failed hosts, whose messages follow it in full."""

    def __init__(self, progress: Progress, operation: str, now: Callable[[], float], console: Console) -> None:
        self._progress = progress
        self._operation = operation
        self._now = now
        self._console = console
        self._note = ""
        self._live = Live(
            get_renderable=self._draw,
            console=console,
            refresh_per_second=REFRESHES_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> LiveView:
        self._live.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._live.__exit__(None, None, None)

    def host(self, row: Row) -> None:
        """Leave it to the next refresh."""

    def operation(self) -> None:
        """Leave it to the next refresh."""

    def note(self, text: str) -> None:
        self._note = text

    def _draw(self) -> Group:
        progress, now = self._progress, self._now()
        rows = list(progress.hosts.values())  # a copy in one step: the other thread goes on adding
        room = max(1, self._console.size.height - SPARE_LINES)
        shown = select(rows, room)
        state = str(progress.operation.get("state", "connecting"))
        title = (printable(progress.title), "bold")
        heading = Text.assemble(title, f"  {self._operation}  ", (state, STYLES.get(state, "")))
        parts: list[RenderableType] = [heading, _table(shown, now, final=progress.ended)]
        if len(rows) > len(shown):
            parts.append(Text(f"... and {len(rows) - len(shown)} more hosts", style="dim"))
        parts.append(_counts(progress.counts()))
        if self._note:
            parts.append(Text(printable(self._note), style="bold red", no_wrap=True, overflow="ellipsis"))
        return Group(*parts)


def select(rows: list[Row], room: int) -> list[Row]:
    """Return at most *room* rows: all when they fit, else those running (longest first), then those that failed."""
    if len(rows) <= room:
        return rows
    running = sorted((row for row in rows if row.get("state") == "running"), key=lambda row: row["started_at"] or "~")
    failed = [row for row in rows if row.get("state") == "failed"]
    return [*running, *failed][:room]


def _table(rows: list[Row], now: float, *, final: bool) -> Table:
    table = Table.grid(padding=(0, 2), expand=True)
    for width in (min(40, max((len(row["address"]) for row in rows), default=1)), 11, 10):
        table.add_column(width=width, no_wrap=True, overflow="ellipsis")
    table.add_column(width=7, justify="right", no_wrap=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for row in rows:
        state, took = str(row.get("state") or ""), seconds(row, now)
        table.add_row(
            Text(printable(row["address"])),
            Text(state, style=STYLES.get(state, "")),
            Text(printable(row.get("phase") or "-")),
            "-" if took is None else f"{took:.0f} s",
            Text("" if final and state == "failed" else printable(row.get("message") or ""), style="dim"),
        )
    return table


def _counts(counts: dict[str, int]) -> Text:
    return Text(", ").join(
        Text(f"{count} {state.replace('_', ' ')}", style=STYLES[state] if count else "dim")
        for state, count in counts.items()
    )
