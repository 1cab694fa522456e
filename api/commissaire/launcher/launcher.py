"""The launcher: carries out claimed operations, one supervisor process each, and sees every one to its end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import orjson
import structlog
from sqlalchemy.exc import SQLAlchemyError

from commissaire.clock import now
from commissaire.database import Database
from commissaire.fleet.operations import settle
from commissaire.launcher.job import Job
from commissaire.launcher.journal import Journal
from commissaire.launcher.kinds import KINDS
from commissaire.launcher.plan import make_plan
from commissaire.notices import Notices
from commissaire.records import EventType, Operation, OperationHostState, OperationState
from commissaire.secrets.store import SecretStore

log = structlog.get_logger(__name__)
_CHUNK_BYTES = 1 << 20
_STOP_SECONDS = 10


class Launcher:
    """Runs operations that a worker has claimed. Thread-safe."""

    def __init__(self, database: Database, store: SecretStore, notices: Notices, data_dir: Path, runtime: Path) -> None:
        self._database = database
        self._store = store
        self._notices = notices
        self._private = data_dir / "operations"
        self._runtime = runtime
        self._lock = threading.Lock()
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._standby: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def warm_up(self) -> None:
        """Start the next supervisor already now: its imports cost more than the rest of a launch."""
        with self._lock:
            if self._standby is None and not self._stopping:
                self._standby = _spawn()

    def run(self, operation_id: int) -> None:
        """Carry out an operation that is ours. It ends terminal, or queued again when the server is stopping.

        Raises:
            SQLAlchemyError: the database failed; the playbook is stopped, and nothing could be recorded of that.
        """
        structlog.contextvars.bind_contextvars(operation_id=operation_id)
        try:
            self._run(operation_id)
        except SQLAlchemyError:
            self.cancel(operation_id)
            raise
        except Exception as error:
            log.exception("operation_broke", operation_id=operation_id)
            self._settle(operation_id, OperationState.FAILED, f"Commissaire itself failed: {type(error).__name__}")
        finally:
            structlog.contextvars.clear_contextvars()

    def cancel(self, operation_id: int) -> None:
        """Stop the playbook of an operation that runs here; no more happens on its hosts."""
        with self._lock:
            process = self._running.get(operation_id)
        if process is not None:
            _stop(process)

    def stop(self) -> None:
        """Stop all playbooks; their operations go back to the queue."""
        with self._lock:
            self._stopping = True
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

    def _run(self, operation_id: int) -> None:
        directory = self._private / str(operation_id)
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700, parents=True)
        try:
            with self._database.read() as session:
                operation = session.get_one(Operation, operation_id)
                plan = make_plan(session, self._store, operation, directory, self._runtime / str(operation_id))
            kind = KINDS[operation.kind]
            journal = Journal(self._database, self._notices, operation_id, kind.effects)
            journal.write([_unusable(address, why) for address, why in plan.unusable.items()])
            log.info("operation_started", kind=operation.kind, cluster=operation.cluster, attempt=operation.attempt)
            end = self._supervise(plan.job, journal) if plan.job else {"rc": 0, "message": plan.message}
            if self._stopping and end.get("rc") != 0:
                self._give_back(operation_id)
                return
            self._finish(operation_id, journal, end, kind.done)
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _supervise(self, job: Job, journal: Journal) -> dict[str, Any]:
        process = self._take_supervisor(job.operation_id)
        try:
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("the supervisor has no pipes")
            with self._database.read() as session:  # registered above: from here on `cancel` finds the process itself
                if session.get_one(Operation, job.operation_id).cancel_requested_by is not None:
                    return {"rc": None, "message": ""}
            process.stdin.write(job.to_line())
            process.stdin.flush()
            self.warm_up()
            for entries in _batches(process.stdout):
                if entries[-1]["type"] == "end":
                    if entries[:-1]:
                        journal.write(entries[:-1])
                    return entries[-1]
                journal.write(entries)
            return {"rc": None, "message": "the supervisor process was killed from outside"}
        except (BrokenPipeError, ValueError):  # ValueError: `stop` has closed the pipe
            return {"rc": None, "message": "the supervisor process ended before it got its job"}
        finally:
            with self._lock:
                self._running.pop(job.operation_id, None)
            _stop(process)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def _take_supervisor(self, operation_id: int) -> subprocess.Popen[bytes]:
        with self._lock:
            process, self._standby = self._standby, None
            if process is None or process.poll() is not None:
                process = _spawn()
            self._running[operation_id] = process
            if self._stopping:
                _stop(process)
            return process

    def _finish(self, operation_id: int, journal: Journal, end: dict[str, Any], done: str) -> None:
        with self._database.read() as session:
            cancelled_by = session.get_one(Operation, operation_id).cancel_requested_by
        cancelled = cancelled_by is not None and end["rc"] != 0
        counts = journal.end(end["message"], cancelled=cancelled)
        unfinished = sum(number for state, number in counts.items() if state != OperationHostState.FINISHED)
        tally = ", ".join(
            f"{number} {done if state == OperationHostState.FINISHED else state.replace('_', ' ')}"
            for state, number in counts.items()
            if number
        )
        if cancelled:
            state, message = OperationState.CANCELLED, f"cancelled by {cancelled_by}: {tally or 'no hosts'}"
        elif unfinished or end["rc"] != 0:
            why = journal.first_failure() or end["message"]
            if not why and end["rc"] != 0:
                why = f"ansible-playbook ended with {end['rc']}: {journal.last_warning or 'no reason given'}"
            state, message = OperationState.FAILED, f"{why} ({tally or 'no hosts'})" if why else tally
        else:
            state, message = OperationState.FINISHED, tally or "there was nothing to do"
        self._settle(operation_id, state, message)

    def _settle(self, operation_id: int, state: OperationState, message: str) -> None:
        with self._database.write() as session:
            settle(session, session.get_one(Operation, operation_id), state, message)
        self._notices.publish(operation_id)
        log.info("operation_ended", operation_id=operation_id, state=str(state), message=message)

    def _give_back(self, operation_id: int) -> None:
        with self._database.write() as session:
            operation = session.get_one(Operation, operation_id)
            operation.state, operation.owner, operation.heartbeat_at = OperationState.QUEUED, None, None
            operation.message = "interrupted by the server's shutdown; it goes on when the server is back"
            session.add(operation)
        log.info("operation_interrupted", operation_id=operation_id)


def _spawn() -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-m", "commissaire.launcher.supervisor"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Close the supervisor's standard input: it kills what is below it, and ends."""
    if process.stdin is not None and not process.stdin.closed:
        try:
            process.stdin.close()
        except BrokenPipeError:
            log.debug("supervisor_gone", pid=process.pid)


def _batches(stream: IO[bytes]) -> Iterator[list[dict[str, Any]]]:
    """Yield what has arrived since the last time: while one batch is written, the next one gathers in the pipe."""
    rest = b""
    while chunk := os.read(stream.fileno(), _CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        if lines:
            yield [orjson.loads(line) for line in lines]


def _unusable(address: str, why: str) -> dict[str, Any]:
    return {
        "type": EventType.CHECKPOINT,
        "time": now().isoformat(),
        "host": address,
        "phase": "credentials",
        "state": OperationHostState.FAILED,
        "message": why,
        "data": {},
    }
