"""An operation's timeline as a chart for a terminal: a row a host, a column a slice of its time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from commissaire.commctl.output import printable
from commissaire.commctl.progress import Progress
from commissaire.commctl.times import clock, duration, unix, zone

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAST_COLUMNS = 10
MOST_NAME_COLUMNS = 30
_BLOCKS = {"waiting": "·", "checking": "░", "upgrading": "▓", "deploying": "▓", "rebooting": "█", "verifying": "▒"}
_LETTERS = {"waiting": ".", "checking": "c", "upgrading": "u", "deploying": "d", "rebooting": "R", "verifying": "v"}
_MORE_BLOCKS = "◆◇●○■□▲△"
_STYLES = {
    "waiting": "dim", "checking": "cyan", "upgrading": "blue", "deploying": "blue", "rebooting": "yellow",
    "verifying": "green",
}  # fmt: skip
_ENDS = {"failed": ("✗", "X"), "cancelled": ("⊘", "#"), "interrupted": ("↯", "/"), "running": ("→", ">")}
_END_STYLES = {"failed": "bold red", "cancelled": "magenta", "interrupted": "bold magenta", "running": "bold"}


@dataclass(frozen=True)
class _Scale:
    """From Unix seconds to columns."""

    begin: float
    end: float
    columns: int

    def column(self, time: float) -> int:
        part = (time - self.begin) / (self.end - self.begin or 1.0)
        return min(self.columns - 1, max(0, int(part * self.columns)))

    def slice(self, column: int) -> tuple[float, float]:
        step = (self.end - self.begin) / self.columns
        return self.begin + column * step, self.begin + (column + 1) * step


def chart(timeline: dict[str, Any], width: int, *, ascii_only: bool = False) -> Iterator[Text]:
    """Yield the lines that draw *timeline*, as the server shows it, *width* cells wide.

    A column shows the phase that takes the most of it; how a host's way ended, or was interrupted, is always shown.
    """
    operation, hosts = timeline["operation"], timeline["hosts"]
    yield Text(f"{printable(Progress(operation).title)}, operation {operation['id']}: {operation['state']}", "bold")
    names = [printable(host["address"]) for host in hosts]
    room = min(MOST_NAME_COLUMNS, max([9, *map(cell_len, names)]), max(9, width // 3))
    scale = _scale(timeline, max(LEAST_COLUMNS, width - room - 1))
    keys = _keys(hosts, ascii_only)
    yield from _heads(timeline, scale, room)
    for name, host in zip(names, hosts, strict=True):
        style = {"failed": "bold red", "cancelled": "magenta"}.get(host["state"], "")
        yield Text.assemble((_cut(name, room, ascii_only), style), " ", _row(host["phases"], scale, keys, ascii_only))
    yield Text()
    yield _legend(hosts, keys, ascii_only)
    for number, event in enumerate(timeline["events"], start=1):
        message = printable(event["message"])
        words = f"{event['state']}: {message}" if message not in ("", event["state"]) else event["state"]
        yield Text(f"{number:>3}  {clock(event['time'], operation['created_at'])}  {words}")


def _scale(timeline: dict[str, Any], columns: int) -> _Scale:
    operation = timeline["operation"]
    begin = unix(operation["created_at"])
    ends = [unix(phase["ended_at"]) for host in timeline["hosts"] for phase in host["phases"] if phase["ended_at"]]
    end = unix(operation["finished_at"] or timeline["as_of"])
    return _Scale(begin, max([end, begin + 0.001, *ends]), columns)


def _heads(timeline: dict[str, Any], scale: _Scale, room: int) -> Iterator[Text]:
    """The times at both ends, and where in between the operation's own events lie, by their last digit."""
    created = timeline["operation"]["created_at"]
    left = f"{clock(created)} {zone(created)}"
    right = duration(scale.end - scale.begin)
    yield Text(f"{'':{room}} {left}{right:>{max(1, scale.columns - len(left))}}", "dim")
    marks = [" "] * scale.columns
    for number, event in enumerate(timeline["events"], start=1):
        marks[scale.column(unix(event["time"]))] = str(number % 10)
    yield Text(f"{'operation':{room}} {''.join(marks)}".rstrip(), "dim")


def _row(phases: list[dict[str, Any]], scale: _Scale, keys: dict[str, str], ascii_only: bool) -> Text:
    cells: list[tuple[str, str]] = [(" ", "")] * scale.columns
    taken = [0.0] * scale.columns
    for phase in phases:
        begin, end = unix(phase["began_at"]), unix(phase["ended_at"]) if phase["ended_at"] else scale.end
        for column in range(scale.column(begin), scale.column(end) + 1):
            first, last = scale.slice(column)
            share = min(end, last) - max(begin, first)
            if share > taken[column]:
                taken[column] = share
                cells[column] = (keys[phase["phase"]], _STYLES.get(phase["phase"], ""))
    for phase in phases:
        if phase["state"] in _ENDS:
            at = scale.column(unix(phase["ended_at"]) if phase["ended_at"] else scale.end)
            cells[at] = (_ENDS[phase["state"]][ascii_only], _END_STYLES[phase["state"]])
    return Text.assemble(*cells)


def _keys(hosts: list[dict[str, Any]], ascii_only: bool) -> dict[str, str]:
    """Give each phase that occurs a sign of its own."""
    known = _LETTERS if ascii_only else _BLOCKS
    keys: dict[str, str] = {}
    for name in dict.fromkeys(phase["phase"] for host in hosts for phase in host["phases"]):
        letters = [char for char in (name + name.upper()) if char.isascii() and char.isalpha()]
        spare = [*(letters if ascii_only else _MORE_BLOCKS), *"0123456789"]
        free = [key for key in spare if key not in keys.values() and key not in known.values()]
        keys[name] = known.get(name) or (free[0] if free else "?")
    return keys


def _legend(hosts: list[dict[str, Any]], keys: dict[str, str], ascii_only: bool) -> Text:
    states = {phase["state"] for host in hosts for phase in host["phases"]}
    parts = [Text.assemble((key, _STYLES.get(name, "")), f" {printable(name)}") for name, key in keys.items()]
    parts += [
        Text.assemble((signs[ascii_only], _END_STYLES[state]), f" {'at work' if state == 'running' else state}")
        for state, signs in _ENDS.items()
        if state in states
    ]
    return Text("  ").join(parts)


def _cut(name: str, room: int, ascii_only: bool) -> str:
    if cell_len(name) <= room:
        return set_cell_size(name, room)
    return set_cell_size(name, room - 1) + ("~" if ascii_only else "…")
