"""The launcher: carries out claimed operations, one supervisor process each, and sees every one to its end."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from commissaire.clock import now
from commissaire.database import Database
from commissaire.fleet.operations import settle
from commissaire.launcher.journal import Journal
from commissaire.launcher.kinds import KINDS
from commissaire.launcher.plan import make_plan
from commissaire.launcher.supervisors import Supervisors
from commissaire.notices import Notices
from commissaire.records import EventType, Operation, OperationHostState, OperationState
from commissaire.secrets.store import SecretStore

log = structlog.get_logger(__name__)


class Launcher:
    """Runs operations that a worker has claimed. Thread-safe."""

    def __init__(
        self,
        database: Database,
        store: SecretStore,
        notices: Notices,
        supervisors: Supervisors,
        data_dir: Path,
        runtime: Path,
    ) -> None:
        self._database = database
        self._store = store
        self._notices = notices
        self._supervisors = supervisors
        self._private = data_dir / "operations"
        self._runtime = runtime

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
        self._supervisors.stop(operation_id)

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
            end: dict[str, Any] = {"rc": 0, "message": plan.message}
            if plan.job:
                end = self._supervisors.run(plan.job, journal.write, lambda: self._is_wanted(operation_id))
            if self._supervisors.stopping and end.get("rc") != 0:
                self._give_back(operation_id)
                return
            self._finish(operation_id, journal, end, kind.done)
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _is_wanted(self, operation_id: int) -> bool:
        with self._database.read() as session:
            return session.get_one(Operation, operation_id).cancel_requested_by is None

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
