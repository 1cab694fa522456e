# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Processes beside and below ansible-playbook, by Linux's /proc; elsewhere nothing is known, and said to be known."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ansible.utils.display import Display

if TYPE_CHECKING:
    from collections.abc import Callable

PROC = Path("/proc")
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15


def main_process() -> int:
    """Return the pid of the ansible-playbook that forked this worker, also after it has ended."""
    parent = multiprocessing.parent_process()
    return os.getppid() if parent is None or parent.pid is None else parent.pid


def children(parent: int) -> set[int]:
    """Return the pids of the processes that `parent` started and that have not ended."""
    found = set()
    for entry in PROC.glob("[0-9]*"):
        state, of, *_ = _fields(entry)
        if of == str(parent) and state not in "ZX":
            found.add(int(entry.name))
    return found


def has_killed_child(parent: int) -> bool:
    """Tell whether a process that `parent` started was ended by a signal, and `parent` has not looked yet."""
    for entry in PROC.glob("[0-9]*"):
        fields = _fields(entry)
        if fields[1] == str(parent) and fields[0] == "Z" and int(fields[49]) & 0x7F:
            return True
    return False


def live_workers(main: int) -> set[int] | None:
    """Return the pids of the live workers forked by the ansible-playbook process `main`, or None when /proc is silent.

    A worker is forked, not executed, so it has its parent's command line; an ssh-agent or a vault script has not.
    """
    command = _command(main)
    return {child for child in children(main) if _command(child) == command} if command else None


@dataclass(frozen=True)
class Identity:
    """A process that is never taken for a later one with the same pid."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Identity:
        """Return the identity of the process that has *pid* now."""
        return cls(pid, _started(pid))

    def is_alive(self) -> bool:
        """Tell whether it has not ended; a zombie has."""
        return bool(self.started) and _started(self.pid) == self.started


def is_stopped(pid: int) -> bool:
    """Tell whether the process is suspended, by a signal or a debugger."""
    return _fields(PROC / str(pid))[0] in "Tt"


def leave_behind(name: str, work: Callable[[], None]) -> None:
    """Do *work* in a process that outlives this one, and is called *name* where that can be done (15 characters)."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):  # whoever started the play must not wait for the end of this one
            os.dup2(null, descriptor)
        os.closerange(3, min(os.sysconf("SC_OPEN_MAX"), 1 << 16))
        _hush()
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode())
        work()
    except BaseException:
        os._exit(1)
    os._exit(0)


def voluntary_switches(pid: int) -> int:
    """Return how often the process gave its processor up to wait; one that polls does so over and over."""
    try:
        status = (PROC / str(pid) / "status").read_text()
    except OSError:
        return 0
    return int([*status.partition("\nvoluntary_ctxt_switches:")[2].split(), "0"][0])


def ended_children(parent: int) -> str:
    """Return what changes whenever a child of `parent` has ended and `parent` has seen it (cminflt, cutime)."""
    fields = _fields(PROC / str(parent))
    return " ".join([*fields[8:9], *fields[13:14]])


def _hush() -> None:
    """Have Ansible say nothing more here: the descriptors of the queue and the log are closed, or another file's."""
    display = Display()
    display.verbosity = display.log_verbosity = 0
    display._final_q = None


def _started(pid: int) -> str:
    """Return when the process was started, in whatever unit: "" when it has ended. No two processes share both."""
    if PROC.joinpath("self", "stat").exists():
        fields = _fields(PROC / str(pid))
        return "" if fields[0] in "ZX" else fields[19]
    try:
        os.kill(pid, 0)
    except OSError:
        return ""
    return "alive"


def die_with_parent() -> None:
    """Have this process told to end (SIGTERM) when the one that started it does (prctl(2)), where that can be done."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _command(pid: int) -> bytes:
    try:
        return (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""


def _fields(entry: Path) -> list[str]:
    """Return the fields of /proc/PID/stat (proc(5)) from the state on."""
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["X", "0"]
