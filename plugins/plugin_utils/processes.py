# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read who runs below whom, from Linux's /proc; elsewhere nothing is known, and said to be known."""

from __future__ import annotations

from pathlib import Path

PROC = Path("/proc")


def children(parent: int) -> set[int]:
    """Return the pids of the processes that `parent` started and that have not ended."""
    found = set()
    for entry in PROC.glob("[0-9]*"):
        of, state = _parent_and_state(entry)
        if of == parent and state not in "ZX":
            found.add(int(entry.name))
    return found


def live_workers(main: int) -> set[int] | None:
    """Return the pids of the live workers forked by the ansible-playbook process `main`, or None when /proc is silent.

    A worker is forked, not executed, so it has its parent's command line; an ssh-agent or a vault script has not.
    """
    command = _command(main)
    return {child for child in children(main) if _command(child) == command} if command else None


def _command(pid: int) -> bytes:
    try:
        return (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""


def _parent_and_state(entry: Path) -> tuple[int, str]:
    try:
        fields = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0, "X"
    return int(fields[1]), fields[0]
