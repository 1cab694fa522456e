"""The supervisor processes of one server: one a playbook, the next one started before it is needed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import IO, Any

import orjson
import structlog

from commissaire.launcher.job import LET_GO, Job

log = structlog.get_logger(__name__)
_CHUNK_BYTES = 1 << 20
_STOP_SECONDS = 10


class Supervisors:
    """Starts and stops supervisors; a running one is known by its job's `operation_id`. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._standby: subprocess.Popen[bytes] | None = None
        self.stopping = False

    def warm_up(self) -> None:
        """Start the next supervisor already now: its imports cost more than the rest of a launch."""
        with self._lock:
            if self._standby is None and not self.stopping:
                self._standby = _spawn()

    def run(
        self, job: Job, write: Callable[[list[dict[str, Any]]], None], is_wanted: Callable[[], bool] = lambda: True
    ) -> dict[str, Any]:
        """Run *job* to its end, handing what happens to *write*; return `{"rc", "message"}`, rc None when it was cut.

        *is_wanted* is asked once `stop` would find the process: nothing that stops the job falls between the two.
        """
        process = self._take(job.operation_id)
        try:
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("the supervisor has no pipes")
            if not is_wanted():
                return {"rc": None, "message": ""}
            try:
                process.stdin.write(job.to_line())
                process.stdin.flush()
            except (BrokenPipeError, ValueError):  # ValueError: `stop_all` has closed the pipe
                return {"rc": None, "message": "the supervisor process ended before it got its job"}
            self.warm_up()
            for entries in _batches(process.stdout):
                if entries[-1]["type"] == "end":
                    if entries[:-1]:
                        write(entries[:-1])
                    return entries[-1]
                write(entries)
            return {"rc": None, "message": "the supervisor process was killed from outside"}
        finally:
            with self._lock:
                self._running.pop(job.operation_id, None)
            _stop(process)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def stop(self, operation_id: int, *, let_go: bool = False) -> None:
        """Stop a job, if it runs here; no more happens on its hosts. With *let_go* their leases are given back."""
        with self._lock:
            process = self._running.get(operation_id)
        if process is not None:
            _stop(process, LET_GO if let_go else b"")

    def stop_all(self) -> None:
        """Stop all jobs, and start none any more."""
        with self._lock:
            self.stopping = True
            standby, self._standby = self._standby, None
            processes = [*self._running.values(), *([standby] if standby else [])]
        for process in processes:
            _stop(process)
        for process in processes:
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        if standby is not None and standby.stdout is not None:
            standby.stdout.close()

    def _take(self, operation_id: int) -> subprocess.Popen[bytes]:
        with self._lock:
            process, self._standby = self._standby, None
            if process is None or process.poll() is not None:
                process = _spawn()
            self._running[operation_id] = process
            if self.stopping:
                _stop(process)
            return process


def _spawn() -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-m", "commissaire.launcher.supervisor"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )


def _stop(process: subprocess.Popen[bytes], last_words: bytes = b"") -> None:
    """Close the supervisor's standard input, after *last_words*: it kills what is below it, and ends."""
    if process.stdin is not None and not process.stdin.closed:
        try:
            process.stdin.write(last_words)
            process.stdin.close()
        except (BrokenPipeError, ValueError):  # ValueError: another thread has closed it just now
            log.debug("supervisor_gone", pid=process.pid)


def _batches(stream: IO[bytes]) -> Iterator[list[dict[str, Any]]]:
    """Yield what has arrived since the last time: while one batch is written, the next one gathers in the pipe."""
    rest = b""
    while chunk := os.read(stream.fileno(), _CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        if lines:
            yield [orjson.loads(line) for line in lines]
