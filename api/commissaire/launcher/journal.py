"""The journal of one running operation: entries become `Event` rows, and each host's row says where it stands.

Entries are written in batches, one transaction each; within a batch a host's row is written once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, insert, update
from sqlmodel import Session, col, select

from commissaire.bus.notification import ChangeEvent
from commissaire.bus.outbox import announce
from commissaire.clock import now
from commissaire.database import Database
from commissaire.fleet.claims import Claim, held
from commissaire.fleet.cut_short import cut_short
from commissaire.fleet.hosts import pin_host_keys
from commissaire.launcher.kinds import Effects, with_phase
from commissaire.notices import Notices
from commissaire.records import Event, EventType, OperationHost, OperationHostState

_ENDED = (
    OperationHostState.FINISHED,
    OperationHostState.FAILED,
    OperationHostState.SKIPPED,
    OperationHostState.NOT_STARTED,
    OperationHostState.CANCELLED,
)
_STAGED = "staging"
"""The phase of a host that waits for its turn in the run that is under way: none that a later run has to take up."""


@dataclass
class _Progress:
    """Where one host stands, as its `OperationHost` row will say."""

    state: str
    phase: str
    message: str
    data: dict[str, Any]
    started_at: datetime | None
    finished_at: datetime | None
    last_words: str = ""
    held_back: bool = False
    changed: bool = field(default=False)


class Journal:
    """Writes what happens in a claimed operation, as long as the claim holds; not for use from several threads."""

    def __init__(self, database: Database, notices: Notices, claim: Claim, effects: Effects) -> None:
        self._database = database
        self._notices = notices
        self._claim = claim
        self._operation_id = claim.operation_id
        self._effects = effects
        self._hosts = self._load()
        self.last_warning = ""
        """What Ansible said last outside any task: the reason when a playbook ends before it begins."""

    def write(self, entries: list[dict[str, Any]]) -> None:
        """Record a batch of entries (`commissaire.launcher.entry`) and what they mean for their hosts.

        Raises:
            ClaimLost: the operation was taken over; nothing is recorded.
        """
        rows = []
        new_keys: list[str] = []
        for entry in entries:
            if entry["type"] == "known_hosts":
                new_keys.extend(entry["lines"])
            elif entry["type"] == "stats":
                rows.extend(self._fail_the_rest(entry))
            else:
                self._apply(entry)
                rows.append(self._row(entry))
        with self._database.write() as session:
            held(session, self._claim)
            pin_host_keys(session, new_keys)
            self._store(session, rows)
        self._notices.publish(self._operation_id)

    def end(self, why: str, *, cancelled: bool) -> dict[str, int]:
        """Give every host that is still open its last state; return how many hosts are in which state.

        *why* is why the playbook ended early, if it is known.

        Raises:
            ClaimLost: the operation was taken over; nothing is recorded.
        """
        rows = []
        for address, host in self._hosts.items():
            if host.state == OperationHostState.RUNNING:
                state = OperationHostState.CANCELLED if cancelled else OperationHostState.FAILED
                words = (
                    cut_short(host.phase) if cancelled else why or host.last_words or "the playbook ended in this phase"
                )
                rows.append(self._close(address, host, state, words))
            elif host.state == OperationHostState.PENDING:
                if host.last_words:
                    rows.append(self._close(address, host, OperationHostState.FAILED, host.last_words))
                else:
                    words = "cancelled before its turn" if cancelled else "the operation ended before its turn"
                    rows.append(self._close(address, host, OperationHostState.NOT_STARTED, words))
        with self._database.write() as session:
            held(session, self._claim)
            self._store(session, rows)
        return self.counts()

    def held_back(self) -> str:
        """Return why hosts were left for a later attempt; "" when none were."""
        return next((host.message for host in self._hosts.values() if host.held_back), "")

    def resume_at(self) -> datetime | None:
        """Return when the first of these hosts may start, as far as that is known."""
        times = [time for time in self._resume_times() if time is not None]
        return datetime.fromtimestamp(min(times), UTC) if times else None

    def waits_for_somebody(self) -> bool:
        """Return whether one of these hosts may not start before somebody lets the operation go on."""
        return None in self._resume_times()

    def counts(self) -> dict[str, int]:
        """Return the number of hosts in each state."""
        counts = dict.fromkeys(OperationHostState, 0)
        for host in self._hosts.values():
            counts[OperationHostState(host.state)] += 1
        return {str(state): number for state, number in counts.items()}

    def first_failure(self) -> str | None:
        """Return which host failed first in its order, in which phase and why; None when none did."""
        for address, host in self._hosts.items():
            if host.state == OperationHostState.FAILED:
                return f"{address}: {with_phase(host.phase, host.message)}"
        return None

    def refusal(self) -> str:
        """Return why the playbook did not start a host for good; "" when it started all."""
        refused = (host.message for host in self._hosts.values() if host.state == OperationHostState.NOT_STARTED)
        return next(refused, "")

    def _resume_times(self) -> list[float | None]:
        return [host.data["resume_at"] for host in self._hosts.values() if host.held_back and "resume_at" in host.data]

    def _load(self) -> dict[str, _Progress]:
        with self._database.read() as session:
            rows = session.exec(
                select(OperationHost)
                .where(OperationHost.operation_id == self._operation_id)
                .order_by(col(OperationHost.position))
            ).all()
        return {
            row.address: _Progress(row.state, row.phase, row.message, dict(row.data), row.started_at, row.finished_at)
            for row in rows
        }

    def _apply(self, entry: dict[str, Any]) -> None:
        host = self._hosts.get(entry["host"] or "")
        if entry["type"] == EventType.WARNING:
            self.last_warning = entry["message"]
        if host is None:
            return
        time = _time(entry)
        if entry["type"] in (EventType.FAILED, EventType.UNREACHABLE):
            host.last_words = entry["message"]
            return
        if entry["type"] != EventType.CHECKPOINT:
            return
        host.changed = True
        state = OperationHostState(entry["state"])
        host.held_back = state == OperationHostState.PENDING and entry["phase"] != _STAGED
        host.message = entry["message"]
        if not (host.held_back and host.state == OperationHostState.RUNNING):  # else it is still interrupted
            host.state, host.phase = state, entry["phase"]
        host.data.pop("resume_at", None)  # of an earlier attempt
        host.data.update(entry["data"])
        if state not in (OperationHostState.NOT_STARTED, OperationHostState.PENDING):
            host.started_at = host.started_at or time
        host.finished_at = time if state in _ENDED else None

    def _fail_the_rest(self, stats: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            self._close(address, host, OperationHostState.FAILED, host.last_words or "the playbook failed on it")
            for address, host in self._hosts.items()
            if address in {*stats["failed"], *stats["unreachable"]} and host.state not in _ENDED
        ]

    def _close(self, address: str, host: _Progress, state: OperationHostState, message: str) -> dict[str, Any]:
        host.state, host.message, host.finished_at, host.changed = state, message, now(), True
        entry = {"type": EventType.CHECKPOINT, "host": address, "phase": host.phase, "message": message, "state": state}
        return self._row(entry)

    def _row(self, entry: dict[str, Any]) -> dict[str, Any]:
        return {
            "operation_id": self._operation_id,
            "time": _time(entry),
            "type": entry["type"],
            "host": entry.get("host"),
            "phase": entry.get("phase"),
            "task": entry.get("task"),
            "message": entry.get("message", ""),
            "data": {**entry.get("data", {}), **({"state": entry["state"]} if entry.get("state") else {})},
        }

    def _store(self, session: Session, rows: list[dict[str, Any]]) -> None:
        newest = record_events(session, rows) if rows else 0
        changed = {address: host for address, host in self._hosts.items() if host.changed}
        if changed:
            table = OperationHost.__table__  # type: ignore[attr-defined]
            states = [
                {
                    "key": address,
                    "state": host.state,
                    "phase": host.phase,
                    "message": host.message,
                    "data": host.data,
                    "started_at": host.started_at,
                    "finished_at": host.finished_at,
                    "updated_by_event": newest,
                }
                for address, host in changed.items()
            ]
            session.connection().execute(
                update(table).where(table.c.operation_id == self._operation_id, table.c.address == bindparam("key")),
                states,
            )
            told = ({**row, "operation_id": self._operation_id, "address": row["key"]} for row in states)
            announce(session, OperationHost, ChangeEvent.UPDATED, told)
        with session.no_autoflush:  # one flush for all of them, not one before each look at the next
            for address, host in changed.items():
                self._effects(session, address, host.state, host.phase, host.message, host.data)
                host.changed = False


def record_events(session: Session, rows: list[dict[str, Any]]) -> int:
    """Insert events in one statement; return the number of the newest."""
    result = session.connection().execute(insert(Event).returning(col(Event.seq)), rows)
    return max(seq for seq in result.scalars() if seq is not None)


def _time(entry: dict[str, Any]) -> datetime:
    text = entry.get("time")
    return datetime.fromisoformat(text) if text else now()
