"""Schedules: when operations are asked for by themselves. The rules, on a session that the caller commits."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, update
from sqlmodel import Session, col, select

from commissaire.clock import now, rfc3339
from commissaire.fleet.clusters import get_cluster
from commissaire.fleet.cron import last_time, next_time
from commissaire.fleet.errors import Conflict, FleetError, NotFound
from commissaire.fleet.operations import Requester
from commissaire.fleet.parameters import check_parameters
from commissaire.fleet.rolling import request_rolling
from commissaire.records import Operation, OperationKind, Schedule, ScheduleOutcome


def get_schedule(session: Session, name: str) -> Schedule:
    """Return a schedule.

    Raises:
        NotFound: there is none of that name.
    """
    schedule = session.get(Schedule, name)
    if schedule is None:
        raise NotFound(f"there is no schedule {name}")
    return schedule


def list_schedules(session: Session) -> list[Schedule]:
    """Return all schedules by name."""
    return list(session.exec(select(Schedule).order_by(col(Schedule.name))))


def create_schedule(session: Session, schedule: Schedule, requester: Requester) -> Schedule:
    """Record a new schedule.

    Raises:
        Conflict: there is one of that name.
        NotFound, Invalid: its operation could not be asked for.
    """
    if session.get(Schedule, schedule.name) is not None:
        raise Conflict(f"there is a schedule {schedule.name} already; change that one, or choose another name")
    _check_operation(session, schedule)
    schedule.created_by = requester.name
    _set_next(session, schedule)
    return schedule


def change_schedule(session: Session, schedule: Schedule, wanted: dict[str, Any]) -> None:
    """Change fields of a schedule. What is due already stays so, unless its times change.

    Raises:
        NotFound, Invalid: its operation could not be asked for.
    """
    before = _times(schedule)
    for name, value in wanted.items():
        setattr(schedule, name, value)
    _check_operation(session, schedule)
    if _times(schedule) != before:
        _set_next(session, schedule)


def switch(session: Session, schedule: Schedule, *, enabled: bool) -> None:
    """Let a schedule run at its next time, or at none. One that does so already keeps the time when it is due."""
    if schedule.enabled != enabled:
        schedule.enabled = enabled
        _set_next(session, schedule)


def run_now(session: Session, schedule: Schedule, requester: Requester) -> tuple[Operation, bool]:
    """Ask for a schedule's operation; return it and whether it is new. Its next time stays as it is.

    Raises:
        FleetError: it can't be asked for now.
    """
    operation, new = _request(session, schedule, requester)
    if new:
        _note(session, schedule, now(), ScheduleOutcome.STARTED, f"run by {requester.name}", operation)
    return operation, new


def next_due(session: Session) -> datetime | None:
    """Return when the next schedule is due."""
    return session.exec(select(func.min(Schedule.next_run_at)).where(col(Schedule.enabled))).one()


def due_schedules(session: Session, moment: datetime) -> list[tuple[str, datetime]]:
    """Return the names of the schedules that are due at *moment*, each with the time since which it is."""
    query = select(Schedule.name, Schedule.next_run_at).where(
        col(Schedule.enabled), col(Schedule.next_run_at) <= moment
    )
    return [(name, since) for name, since in session.exec(query.order_by(col(Schedule.name))) if since is not None]


def fire(session: Session, name: str, since: datetime, moment: datetime) -> Schedule | None:
    """Ask for the operation of a schedule that is due *since* then; return the schedule, or None when another one did.

    Of several times that passed only the last one counts, and that only within the schedule's grace.
    """
    schedule = session.get(Schedule, name)
    if schedule is None:
        return None
    mine = (col(Schedule.name) == name, col(Schedule.enabled), col(Schedule.next_run_at) == since)
    following = next_time(schedule.cron, schedule.time_zone, moment)
    if session.exec(update(Schedule).where(*mine).values(next_run_at=following)).rowcount != 1:
        return None
    session.refresh(schedule)
    time = max(since, last_time(schedule.cron, schedule.time_zone, moment))
    if moment - time > timedelta(seconds=schedule.grace_seconds):
        why = f"no server was there within {schedule.grace_seconds} s after {rfc3339(time)}"
        _note(session, schedule, time, ScheduleOutcome.MISSED, why)
        return schedule
    try:
        operation, new = _request(session, schedule, Requester(f"schedule {name}", ""))
    except FleetError as error:
        _note(session, schedule, time, ScheduleOutcome.SKIPPED, str(error))
        return schedule
    if new:
        _note(session, schedule, time, ScheduleOutcome.STARTED, "", operation)
    else:
        why = f"operation {operation.id}, the same, is {operation.state} on cluster {operation.cluster} already"
        _note(session, schedule, time, ScheduleOutcome.SKIPPED, why)
    return schedule


def _times(schedule: Schedule) -> tuple[str, str, bool]:
    return schedule.cron, schedule.time_zone, schedule.enabled


def _set_next(session: Session, schedule: Schedule) -> None:
    schedule.next_run_at = next_time(schedule.cron, schedule.time_zone, now()) if schedule.enabled else None
    session.add(schedule)


def _check_operation(session: Session, schedule: Schedule) -> None:
    get_cluster(session, schedule.cluster)
    check_parameters(OperationKind(schedule.kind), schedule.parameters)


def _request(session: Session, schedule: Schedule, requester: Requester) -> tuple[Operation, bool]:
    cluster = get_cluster(session, schedule.cluster)
    kind = OperationKind(schedule.kind)
    return request_rolling(session, kind, cluster, schedule.parameters, requester, dry_run=schedule.dry_run)


def _note(
    session: Session,
    schedule: Schedule,
    time: datetime,
    outcome: ScheduleOutcome,
    message: str,
    operation: Operation | None = None,
) -> None:
    schedule.last_run_at, schedule.last_outcome, schedule.last_message = time, outcome, message
    if operation is not None:
        session.flush()
        schedule.last_operation_id = operation.id
    session.add(schedule)
