"""What was measured, on which computer, as text and as Markdown."""

import importlib.metadata
import os
import platform
import re
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

HEADER = ("measured", "value", "compared", "measured on")
VERSIONS = ("ansible-core", "ansible-runner", "uvicorn", "starlette", "fastapi", "SQLAlchemy")


@dataclass(frozen=True)
class Row:
    """One number: what it tells, its value with its unit, its ratio to another row, and what it was measured on."""

    what: str
    value: str
    compared: str = ""
    on: str = ""


@dataclass
class Part:
    """Rows that belong together; `notes` say how to read them. `load` is the computer's while they were measured."""

    title: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    load: str = ""

    def add(self, what: str, value: str, compared: str = "", on: str = "") -> None:
        self.rows.append(Row(what, value, compared, on))


def computer() -> dict[str, str]:
    """Return what the numbers depend on: the hardware and the versions of everything that takes part."""
    cpu = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    release = re.search(r'PRETTY_NAME="(.+)"', Path("/etc/os-release").read_text())
    versions = [f"{name} {importlib.metadata.version(name)}" for name in VERSIONS]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "computer": f"{os.cpu_count()} cores, {cpu[1] if cpu else platform.machine()}, {memory:.0f} GiB",
        "system": f"{release[1] if release else platform.system()}, Linux {platform.release()}",
        "Commissaire": importlib.metadata.version("commissaire"),
        "versions": ", ".join([f"Python {platform.python_version()}", *versions, f"SQLite {sqlite3.sqlite_version}"]),
    }


def load() -> float:
    """Return how many processes wanted a core, on average over the last minute."""
    return os.getloadavg()[0]


def ratio(value: float, other: float, name: str) -> str:
    """Return a comparison: `1.23 x NAME`."""
    return f"{value / other:.2f} x {name}"


def spread(seconds: Sequence[float]) -> str:
    """Return how often something was measured, and between what it lay: the value given is the median."""
    rounds = f"{len(seconds)} rounds" if len(seconds) > 1 else "once"
    return f"{rounds}: {min(seconds):.2f} to {max(seconds):.2f} s" if len(seconds) > 1 else rounds


def as_text(part: Part) -> str:
    cells = [HEADER, *((row.what, row.value, row.compared, row.on) for row in part.rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADER))]
    lines = [part.title, f"(load average {part.load})"]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join([*lines, *part.notes])


def as_markdown(facts: dict[str, str], parts: Sequence[Part]) -> str:
    lines = [
        "# Performance",
        "",
        "What Commissaire costs, beside what one would use instead; both measured in one run,",
    ]
    lines += ["over loopback or in a lab's own network, on this computer:", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    for part in parts:
        lines += ["", f"## {part.title}", "", _markdown_row(HEADER), _markdown_row(["---"] * len(HEADER))]
        lines += [_markdown_row((row.what, row.value, row.compared, row.on)) for row in part.rows]
        lines += ["", *part.notes, "", f"Load average of the computer: {part.load}."]
    lines += ["", "Measure again: `PYTHONPATH=tests .venv/bin/python -m bench --write docs/performance.md`."]
    return "\n".join(lines) + "\n"


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
