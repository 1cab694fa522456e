"""Processes that the agent started, and that nobody waits for: SIGCHLD tells of their end."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Any

_running: dict[int, Child] = {}


class Child:
    """A process; it is reaped when it ends, also if nobody ever asks for it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.code = 0
        """Once it ended: the exit code, or the signal's number, negative."""
        _heed()
        _running[process.pid] = self
        self.reap()  # it may have ended before that

    def has_ended(self) -> bool:
        self.reap()
        return self._process.pid not in _running

    def reap(self) -> None:
        """Take note of its end, if there was one. It can be interrupted by itself, at any place."""
        if self._process.pid not in _running:
            return
        try:
            pid, status = os.waitpid(self._process.pid, os.WNOHANG)
        except ChildProcessError:
            return  # the interruption did it
        if pid:
            self.code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
            self._process.returncode = self.code
            _running.pop(pid, None)


def _reap_all(*_: Any) -> None:
    for child in list(_running.values()):
        child.reap()


def _heed() -> None:
    """Have the end of children told. Only the main thread can: elsewhere they are looked at when they are asked for."""
    try:
        if signal.getsignal(signal.SIGCHLD) is not _reap_all:
            signal.signal(signal.SIGCHLD, _reap_all)
    except ValueError:
        return
