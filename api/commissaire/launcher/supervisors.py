"""The supervisor processes of one server: one a playbook, the next one started before it is needed."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import IO, Any

import orjson
import structlog

from commissaire.launcher.job import LET_GO, Job, until_line

log = structlog.get_logger(__name__)
_CHUNK_BYTES = 1 << 20
_STOP_SECONDS = 10


class Supervisors:
    """Starts and stops supervisors; a running one is known by its job's `operation_id`. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[int, _Supervisor] = {}
        self._standby: _Supervisor | None = None
        self.stopping = False

    def warm_up(self) -> None:
        """Start the next supervisor already now: its imports cost more than the rest of a launch."""
        with self._lock:
            if self._standby is None and not self.stopping:
                self._standby = _Supervisor()

    def run(
        self,
        job: Job,
        write: Callable[[list[dict[str, Any]]], None],
        begin: Callable[[], float | None] = lambda: math.inf,
    ) -> dict[str, Any]:
        """Run *job* to its end, handing what happens to *write*; return `{"rc", "message"}`, rc None when it was cut.

        *begin* is asked once `stop` would find the process: nothing that stops the job falls between the two. It tells
        until when (`time.monotonic`) the job may run before `keep` tells a later time, or None when it isn't wanted.
        """
        supervisor = self._take(job.operation_id)
        try:
            until = begin()
            if until is None:
                return {"rc": None, "message": ""}
            if not supervisor.give(job.to_line() + (until_line(until) if until < math.inf else b"")):
                return {"rc": None, "message": "the supervisor process ended before it got its job"}
            self.warm_up()
            for entries in _batches(supervisor.news):
                if entries[-1]["type"] == "end":
                    if entries[:-1]:
                        write(entries[:-1])
                    return entries[-1]
                write(entries)
            return {"rc": None, "message": "the supervisor process was killed from outside"}
        finally:
            with self._lock:
                self._running.pop(job.operation_id, None)
            supervisor.stop()
            supervisor.process.wait()
            supervisor.news.close()

    def keep(self, operation_id: int, until: float) -> None:
        """Let a job run until then, if it runs here."""
        with self._lock:
            supervisor = self._running.get(operation_id)
        if supervisor is not None:
            supervisor.keep(until)

    def stop(self, operation_id: int, *, let_go: bool = False) -> None:
        """Stop a job, if it runs here; no more happens on its hosts. With *let_go* their leases are given back."""
        with self._lock:
            supervisor = self._running.get(operation_id)
        if supervisor is not None:
            supervisor.stop(LET_GO + b"\n" if let_go else b"")

    def stop_all(self) -> None:
        """Stop all jobs, and start none any more."""
        with self._lock:
            self.stopping = True
            standby, self._standby = self._standby, None
            supervisors = [*self._running.values(), *([standby] if standby else [])]
        for supervisor in supervisors:
            supervisor.stop()
        for supervisor in supervisors:
            try:
                supervisor.process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                supervisor.process.kill()
        if standby is not None:
            standby.news.close()

    def _take(self, operation_id: int) -> _Supervisor:
        with self._lock:
            supervisor, self._standby = self._standby, None
            if supervisor is None or supervisor.process.poll() is not None:
                supervisor = _Supervisor()
            self._running[operation_id] = supervisor
            if self.stopping:
                supervisor.stop()
            return supervisor


class _Supervisor:
    """One supervisor process, and the pipes to and from it. Several threads tell it things."""

    def __init__(self) -> None:
        self.process = _spawn()
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError("the supervisor has no pipes")
        self._words = self.process.stdin
        self.news = self.process.stdout
        self._has_job = False
        self._lock = threading.Lock()

    def give(self, job: bytes) -> bool:
        """Give it its job; return False when it is gone, or was stopped."""
        try:
            self._words.write(job)
            self._words.flush()
            with self._lock:
                os.set_blocking(self._words.fileno(), False)  # who tells it more must not wait for it
                self._has_job = True
        except (BrokenPipeError, ValueError):  # ValueError: `stop` has closed the pipe
            return False
        return True

    def keep(self, until: float) -> None:
        """Let its playbook run until then."""
        with self._lock:
            if self._has_job:
                self._tell(until_line(until))

    def stop(self, last_words: bytes = b"") -> None:
        """Close its standard input, after *last_words*: it kills what is below it, and ends."""
        with self._lock:
            if self._has_job:
                self._tell(last_words)
            self._has_job = False
            with contextlib.suppress(BrokenPipeError):
                self._words.close()

    def _tell(self, words: bytes) -> None:
        try:
            os.write(self._words.fileno(), words)
        except OSError:  # gone; or stopped for so long that the pipe is full
            log.debug("supervisor_gone", pid=self.process.pid)


def _spawn() -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-m", "commissaire.launcher.supervisor"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )


def _batches(stream: IO[bytes]) -> Iterator[list[dict[str, Any]]]:
    """Yield what has arrived since the last time: while one batch is written, the next one gathers in the pipe."""
    rest: list[bytes] = []  # pieces of a line, which may be as long as a file
    while chunk := os.read(stream.fileno(), _CHUNK_BYTES):
        first, *others = chunk.split(b"\n")
        rest.append(first)
        if others:
            lines = [b"".join(rest), *others[:-1]]
            rest = others[-1:]
            yield [orjson.loads(line) for line in lines]
