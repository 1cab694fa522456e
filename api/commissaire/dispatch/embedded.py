"""The embedded dispatcher: the operations' own table is the queue, worker threads of this process take from it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import ColumnElement, event, or_
from sqlmodel import Session, col, select

from commissaire.clock import now
from commissaire.database import Database
from commissaire.fleet.claims import EXPIRY_SECONDS, Claim, renew
from commissaire.fleet.operations import add_event
from commissaire.records import Operation, OperationState

HEARTBEAT_SECONDS = 2.0


class EmbeddedDispatcher:
    """Hands out operations inside one server process; `owner` names the data folder it runs on.

    One server runs on a data folder at a time (it holds a lock there), so whatever that owner had before is orphaned
    when a server starts. Servers with other data folders on the same database are judged by their heartbeat.
    """

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self._owner = owner
        self._news = threading.Condition()
        self._generation = 0
        self._obey: Callable[[set[int]], None] = lambda _: None

    def on_control(self, obey: Callable[[set[int]], None]) -> None:
        """Call *obey* with the id of an operation of which something else was wished here."""
        self._obey = obey

    def enqueue(self, session: Session, operation: Operation) -> None:
        """See `Dispatcher.enqueue`."""
        event.listen(session, "after_commit", lambda _: self.wake(), once=True)

    def claim(self, kinds: tuple[str, ...], wait_seconds: float) -> Claim | None:
        """See `Dispatcher.claim`."""
        with self._news:
            seen = self._generation
        claimed, due_in = self._claim(kinds)
        if claimed is None:
            with self._news:
                self._news.wait_for(lambda: self._generation != seen, min(wait_seconds, due_in))
            claimed, _ = self._claim(kinds)
        return claimed

    def heartbeat(self, claims: set[Claim]) -> set[Claim]:
        """See `Dispatcher.heartbeat`."""
        if not claims:
            return set()
        with self._database.write() as session:
            return renew(session, self._owner, claims)

    def control(self, operation_id: int) -> None:
        """See `Dispatcher.control`."""
        self._obey({operation_id})

    def recover(self, *, at_start: bool) -> list[int]:
        """See `Dispatcher.recover`."""
        expired = col(Operation.heartbeat_at) < now() - timedelta(seconds=EXPIRY_SECONDS)
        return self._requeue(or_(col(Operation.owner) == self._owner, expired) if at_start else expired)

    def wake(self) -> None:
        """Let waiting workers look again."""
        with self._news:
            self._generation += 1
            self._news.notify_all()

    def _requeue(self, which: ColumnElement[bool]) -> list[int]:
        with self._database.read() as session:
            running = select(Operation.id).where(Operation.state == OperationState.RUNNING)
            if session.exec(running.where(which).limit(1)).first() is None:
                return []
        with self._database.write() as session:
            orphans = session.exec(
                select(Operation).where(Operation.state == OperationState.RUNNING).where(which).with_for_update()
            ).all()
            for operation in orphans:
                operation.state, operation.owner, operation.heartbeat_at = OperationState.QUEUED, None, None
                operation.message = "its server vanished; it goes on where it was"
                session.add(operation)
                add_event(session, operation, operation.message)
            return [operation.id for operation in orphans if operation.id is not None]

    def _claim(self, kinds: tuple[str, ...]) -> tuple[Claim | None, float]:
        """Return the claim to the operation that is ours now, or None and in how many seconds one will be due."""
        wanted = (col(Operation.state) == OperationState.QUEUED, col(Operation.kind).in_(kinds))
        with self._database.read() as session:
            times = session.exec(select(Operation.not_before).where(*wanted)).all()
        due_in = min(((time - now()).total_seconds() if time else 0.0 for time in times), default=math.inf)
        if due_in > 0:
            return None, due_in
        due = or_(col(Operation.not_before).is_(None), col(Operation.not_before) <= now())
        with self._database.write() as session:
            operation = session.exec(
                select(Operation)
                .where(*wanted, due)
                .order_by(col(Operation.id))
                .limit(1)
                .with_for_update(skip_locked=True)
            ).first()
            if operation is None:
                return None, 0.0
            operation.state, operation.owner, operation.message = OperationState.RUNNING, self._owner, ""
            operation.attempt += 1
            operation.heartbeat_at = now()
            operation.started_at = operation.started_at or operation.heartbeat_at
            session.add(operation)
            add_event(
                session, operation, "running" if operation.attempt == 1 else f"resumed, attempt {operation.attempt}"
            )
            return Claim(operation.id or 0, operation.attempt), 0.0
