"""The processes below a server that a test may kill."""

from __future__ import annotations

import re
from pathlib import Path

from .controller import Controller


def playbook(controller: Controller) -> int | None:
    """Return the pid of the ansible-playbook that all its workers come from; None when there is none."""
    pids = {int(line.split()[0]) for line in controller.processes() if "/ansible-playbook " in line}
    found = [pid for pid in pids if _parent(pid) not in pids and _name(pid).startswith("ansible")]
    return found[0] if found else None


def worker(controller: Controller) -> int | None:
    """Return the pid of a worker of that ansible-playbook that is at work, with a process of its own."""
    main = playbook(controller)
    return next((pid for pid in _children(main) if _children(pid)), None) if main is not None else None


def supervisor(controller: Controller) -> int | None:
    """Return the pid of the supervisor that has an operation's playbook."""
    main = playbook(controller)
    return _parent(main) if main is not None else None


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _name(pid: int) -> str:
    try:
        return re.sub(r"\s+\Z", "", Path(f"/proc/{pid}/comm").read_text())
    except OSError:
        return ""
