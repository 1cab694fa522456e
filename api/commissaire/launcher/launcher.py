"""The launcher: carries out claimed operations, one supervisor process each, and sees every one to its end."""

from __future__ import annotations

import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from commissaire.clock import now
from commissaire.database import Database
from commissaire.fleet.claims import TRUST_SECONDS, Claim, ClaimLost, held
from commissaire.fleet.errors import FleetError
from commissaire.fleet.guests import keep_answer
from commissaire.fleet.operation_secrets import forget_secrets
from commissaire.fleet.operations import add_event, settle
from commissaire.launcher.control_file import ControlFile
from commissaire.launcher.guest_plan import NOT_AGAIN
from commissaire.launcher.journal import Journal
from commissaire.launcher.kinds import KINDS, no_effects
from commissaire.launcher.plan import make_plan
from commissaire.launcher.private import forget_private
from commissaire.launcher.supervisors import Supervisors
from commissaire.notices import Notices
from commissaire.records import (
    OF_GUESTS,
    EventType,
    Halt,
    Operation,
    OperationHostState,
    OperationKind,
    OperationState,
)
from commissaire.secrets.errors import StoreUnavailable
from commissaire.secrets.store import SecretStore

log = structlog.get_logger(__name__)

_WELL = (OperationHostState.FINISHED, OperationHostState.SKIPPED)
_LEFT = (OperationHostState.PENDING, OperationHostState.RUNNING, OperationHostState.NOT_STARTED)
"""States in which a host has not come to its end."""
MOST_KILLS = 5
"""An operation whose playbook is killed so often, without one more host being done in between, is given up."""


class Launcher:
    """Runs operations that a worker has claimed. Thread-safe, but for two claims to one operation at once."""

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

    def run(self, claim: Claim) -> None:
        """Carry out an operation that is ours. It ends terminal, or queued again when the server is stopping.

        If another server takes it over meanwhile, this one's part in it ends, and nothing is recorded of that.

        Raises:
            SQLAlchemyError: the database failed; the playbook is stopped, and nothing could be recorded of that.
        """
        structlog.contextvars.bind_contextvars(operation_id=claim.operation_id)
        try:
            self._run_or_fail(claim)
        except SQLAlchemyError:
            self._supervisors.stop(claim.operation_id)
            raise
        except ClaimLost as error:
            log.warning("operation_taken_over", message=str(error))
        finally:
            structlog.contextvars.clear_contextvars()

    def obey(self, operation_ids: set[int]) -> None:
        """Do what is wished of operations that run here: stop a cancelled one, hold back the hosts of a halted one."""
        if not operation_ids:
            return
        with self._database.read() as session:
            wishes = session.exec(
                select(Operation.id, Operation.cancel_requested_by, Operation.halt, Operation.halt_reason).where(
                    col(Operation.id).in_(operation_ids)
                )
            ).all()
        for operation_id, cancelled_by, halt, reason in wishes:
            if cancelled_by is not None:
                self._supervisors.stop(operation_id or 0, let_go=True)
                continue
            try:
                ControlFile(self._private / str(operation_id)).tell(halt, reason)
            except OSError as error:  # it is on record, and tried again; others need not wait for that
                log.error("operation_not_told", operation_id=operation_id, error=str(error))

    def keep(self, operation_ids: set[int], until: float) -> None:
        """Let playbooks run on until then (`time.monotonic`): until then nobody else takes their hosts over."""
        for operation_id in operation_ids:
            self._supervisors.keep(operation_id, until)

    def drop(self, operation_id: int) -> None:
        """Stop the playbook of an operation that another server has taken over, leases and all."""
        log.warning("operation_lost", operation_id=operation_id)
        self._supervisors.stop(operation_id)

    def _run_or_fail(self, claim: Claim) -> None:
        try:
            self._run(claim)
        except (SQLAlchemyError, ClaimLost):
            raise
        except Exception as error:
            log.exception("operation_broke", operation_id=claim.operation_id)
            self._settle(claim, OperationState.FAILED, f"Commissaire itself failed: {type(error).__name__}")

    def _run(self, claim: Claim) -> None:
        operation_id = claim.operation_id
        directory = self._private / str(operation_id)
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700, parents=True)
        try:
            journal, end = self._carry_out(claim, directory)
        finally:  # before it is anybody's to claim again
            shutil.rmtree(directory, ignore_errors=True)
            forget_private(self._runtime / str(operation_id))
        self._end(claim, journal, end)

    def _carry_out(self, claim: Claim, directory: Path) -> tuple[Journal, dict[str, Any]]:
        """Run the playbook, and return its journal and how it ended."""
        operation_id = claim.operation_id
        with self._database.read() as session:
            operation = session.get_one(Operation, operation_id)
            plan = make_plan(session, self._store, operation, directory, self._runtime / str(operation_id))
        ControlFile(directory).tell(operation.halt, operation.halt_reason)
        kind = KINDS[operation.kind]
        effects = no_effects if operation.dry_run else kind.effects
        journal = Journal(self._database, self._notices, claim, effects)
        journal.write([_unusable(address, why) for address, why in plan.unusable.items()])
        log.info("operation_started", kind=operation.kind, cluster=operation.cluster, attempt=operation.attempt)
        end: dict[str, Any] = {"rc": 0, "message": plan.message}
        if plan.job:
            answer: dict[str, Any] = {}
            write = partial(_write, journal, answer)
            end = {**self._supervisors.run(plan.job, write, lambda: self._begin(claim)), "answer": answer}
        return journal, end

    def _begin(self, claim: Claim) -> float | None:
        """Return until when the playbook may run (`time.monotonic`) without another word; None when it may not."""
        until = time.monotonic() + TRUST_SECONDS
        with self._database.write() as session:
            operation = held(session, claim)
            operation.heartbeat_at = now()
            session.add(operation)
            return None if operation.cancel_requested_by is not None else until

    def _end(self, claim: Claim, journal: Journal, end: dict[str, Any]) -> None:
        with self._database.read() as session:
            operation = session.get_one(Operation, claim.operation_id)
        done = journal.counts()[OperationHostState.FINISHED]
        kills = operation.kills + 1 if done == operation.done_at_kill else 1
        if operation.cancel_requested_by is not None and (end["rc"] != 0 or journal.held_back()):
            self._finish(claim, operation, journal, end, cancelled_by=f"cancelled by {operation.cancel_requested_by}")
        elif (
            operation.kind == OperationKind.GUEST_COMMAND
            and end["rc"] != 0
            and (end["rc"] is None or self._supervisors.stopping)
        ):
            told = end if "rc" in end.get("answer", {}) else {**end, "message": NOT_AGAIN}
            self._finish(claim, operation, journal, {**told, "rc": end["rc"] or 1})
        elif self._supervisors.stopping and end["rc"] != 0:
            self._put_back(claim, "interrupted by the server's shutdown; it goes on when the server is back")
        elif end["rc"] is None and kills <= MOST_KILLS:
            why = end["message"] or "the playbook was killed"
            self._put_back(claim, f"{why}; it goes on where it was", kills=kills, done_at_kill=done)
        elif operation.halt == Halt.STOP and any(journal.counts()[state] for state in _LEFT):
            self._finish(claim, operation, journal, end, cancelled_by=operation.halt_reason)
        elif not journal.held_back():
            self._finish(claim, operation, journal, end)
        elif not self._hold(claim, journal):
            self._end(claim, journal, end)

    def _finish(
        self,
        claim: Claim,
        operation: Operation,
        journal: Journal,
        end: dict[str, Any],
        cancelled_by: str | None = None,
    ) -> None:
        refusal = journal.refusal()
        counts = journal.end(end["message"], cancelled=cancelled_by is not None)
        unfinished = sum(number for state, number in counts.items() if state not in _WELL)
        done = KINDS[operation.kind].done
        if operation.dry_run:
            done = f"would be {done}"
        tally = ", ".join(
            f"{number} {done if state == OperationHostState.FINISHED else state.replace('_', ' ')}"
            for state, number in counts.items()
            if number
        )
        if cancelled_by is not None:
            state, message = OperationState.CANCELLED, f"{cancelled_by}: {tally or 'no hosts'}"
        elif unfinished or end["rc"] != 0:
            why = journal.first_failure() or end["message"] or refusal
            if not why and end["rc"] != 0:
                why = f"ansible-playbook ended with {end['rc']}: {journal.last_warning or 'no reason given'}"
            state, message = OperationState.FAILED, f"{why} ({tally or 'no hosts'})" if why else tally
        else:
            state, message = OperationState.FINISHED, tally or "there was nothing to do"
        self._settle(claim, state, message, end.get("answer"))

    def _settle(self, claim: Claim, state: OperationState, message: str, answer: dict[str, Any] | None = None) -> None:
        with self._database.write() as session:
            operation = held(session, claim)
            if state == OperationState.FINISHED and not operation.dry_run:
                state, message = self._complete(session, operation, message)
            if operation.kind == OperationKind.VM_CREATE:
                forget_secrets(session, self._store, operation)
            elif operation.kind in OF_GUESTS:
                state, message = self._keep(session, operation, answer or {}, state, message)
            settle(session, operation, state, message)
        self._notices.publish(claim.operation_id)
        log.info("operation_ended", operation_id=claim.operation_id, state=str(state), message=message)

    def _complete(self, session: Session, operation: Operation, message: str) -> tuple[OperationState, str]:
        """Do what belongs to the good end of *operation*, or say why it is none."""
        try:
            with session.begin_nested():
                told = KINDS[operation.kind].completed(session, self._store, operation)
        except (FleetError, StoreUnavailable) as error:
            return OperationState.FAILED, f"{message}, but {error}"
        return OperationState.FINISHED, "; ".join(filter(None, (message, told)))

    def _keep(
        self, session: Session, operation: Operation, answer: dict[str, Any], state: OperationState, message: str
    ) -> tuple[OperationState, str]:
        """Keep what *operation* answers, and nothing of what it was given."""
        try:
            keep_answer(session, self._store, operation, answer)
        except StoreUnavailable as error:
            return OperationState.FAILED, f"{message}, but its answer can't be kept: {error}"
        return state, message

    def _hold(self, claim: Claim, journal: Journal) -> bool:
        """Leave the hosts that were held back for later: until somebody resumes it, or until the time they told.

        Return False, and leave it as it is, when it was cancelled just now.
        """
        with self._database.write() as session:
            operation = held(session, claim)
            if operation.cancel_requested_by is not None or operation.halt == Halt.STOP:
                return False
            if operation.halt is None and journal.waits_for_somebody():
                operation.halt, operation.halt_reason = Halt.PAUSE, journal.held_back()
            if operation.halt == Halt.PAUSE:
                operation.state, operation.message = OperationState.PAUSED, operation.halt_reason
            else:
                operation.state, operation.not_before = OperationState.QUEUED, journal.resume_at()
                operation.message = journal.held_back()
            operation.owner = operation.heartbeat_at = None
            session.add(operation)
            add_event(session, operation, operation.message)
        self._notices.publish(claim.operation_id)
        log.info("operation_held", state=operation.state, message=operation.message)
        return True

    def _put_back(self, claim: Claim, message: str, **changes: int) -> None:
        with self._database.write() as session:
            operation = held(session, claim)
            operation.state, operation.owner, operation.heartbeat_at = OperationState.QUEUED, None, None
            operation.message = message
            for name, value in changes.items():
                setattr(operation, name, value)
            session.add(operation)
            add_event(session, operation, message)
        log.info("operation_interrupted", operation_id=claim.operation_id, message=message)


def _write(journal: Journal, answer: dict[str, Any], entries: list[dict[str, Any]]) -> None:
    """Give the journal what is for it, and add to *answer* what isn't."""
    for entry in entries:
        if entry["type"] == "answer":
            answer.update(entry["data"])
    rest = [entry for entry in entries if entry["type"] != "answer"]
    if rest:
        journal.write(rest)


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
