"""REST v1: schedules."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request, Response
from sqlmodel import Session

from commissaire.auth.authorisation import check_administrator
from commissaire.auth.role import Role
from commissaire.fleet.parameters import runs_code
from commissaire.fleet.schedules import (
    change_schedule,
    create_schedule,
    get_schedule,
    list_schedules,
    run_now,
    switch,
)
from commissaire.problems import responses
from commissaire.records import OperationKind, Schedule
from commissaire.routes.v1.bodies import OperationShown
from commissaire.routes.v1.operations import show
from commissaire.routes.v1.schedule_bodies import ScheduleChanges, ScheduleList, ScheduleShown, ScheduleWanted
from commissaire.services import Asker, Parts, Services

router = APIRouter(prefix="/api/v1/schedules", tags=["schedules"])
_OPERATOR = {"x-role": Role.OPERATOR}
_CODE = "a check by a command or playbook"


@router.get("")
def list_all(parts: Parts) -> ScheduleList:
    """Return all schedules, when each is due, and what came of the last time."""
    with parts.database.read() as session:
        return ScheduleList(items=[ScheduleShown.of(schedule) for schedule in list_schedules(session)])


@router.post("", status_code=201, openapi_extra=_OPERATOR, responses=responses(400, 403, 404, 409))
def create(body: ScheduleWanted, request: Request, parts: Parts, asker: Asker, response: Response) -> ScheduleShown:
    """Have an operation asked for again and again."""
    _check_requester(request, body)
    response.headers["Location"] = f"/api/v1/schedules/{body.name}"
    wanted = Schedule(name=body.name, **body.fields())
    return _write(parts, lambda session: create_schedule(session, wanted, asker))


@router.get("/{name}", responses=responses(404))
def get(name: str, parts: Parts) -> ScheduleShown:
    """Return a schedule."""
    with parts.database.read() as session:
        return ScheduleShown.of(get_schedule(session, name))


@router.put("/{name}", openapi_extra=_OPERATOR, responses=responses(400, 403, 404))
def put(name: str, body: ScheduleChanges, request: Request, parts: Parts) -> ScheduleShown:
    """Change a schedule."""
    _check_requester(request, body)

    def change(session: Session) -> Schedule:
        schedule = get_schedule(session, name)
        change_schedule(session, schedule, body.fields())
        return schedule

    return _write(parts, change)


@router.delete("/{name}", status_code=204, openapi_extra=_OPERATOR, responses=responses(404))
def delete(name: str, parts: Parts) -> None:
    """Delete a schedule. What it asked for stays."""
    with parts.database.write() as session:
        session.delete(get_schedule(session, name))


@router.post("/{name}/enable", openapi_extra=_OPERATOR, responses=responses(403, 404))
def enable(name: str, request: Request, parts: Parts) -> ScheduleShown:
    """Let a schedule run at its next time."""
    return _write(parts, lambda session: _switched(session, _runnable(session, name, request), enabled=True))


@router.post("/{name}/disable", openapi_extra=_OPERATOR, responses=responses(404))
def disable(name: str, parts: Parts) -> ScheduleShown:
    """Keep a schedule, and let it not run. An operation that it has asked for goes on."""
    return _write(parts, lambda session: _switched(session, get_schedule(session, name), enabled=False))


@router.post(
    "/{name}/run",
    status_code=201,
    openapi_extra=_OPERATOR,
    responses={
        200: {"description": "The same is running already", "model": OperationShown},
        **responses(400, 403, 404, 409),
    },
)
def run(name: str, request: Request, parts: Parts, asker: Asker, response: Response) -> OperationShown:
    """Ask for a schedule's operation now. Its next time stays as it is."""
    with parts.database.write() as session:
        operation, new = run_now(session, _runnable(session, name, request), asker)
        parts.dispatcher.enqueue(session, operation)
        response.status_code = 201 if new else 200
        response.headers["Location"] = f"/api/v1/operations/{operation.id}"
        return show(session, operation)


def _check_requester(request: Request, body: ScheduleChanges) -> None:
    if body.operation.parameters.is_code:
        check_administrator(request, _CODE)


def _runnable(session: Session, name: str, request: Request) -> Schedule:
    schedule = get_schedule(session, name)
    if runs_code(OperationKind(schedule.kind), schedule.parameters):
        check_administrator(request, _CODE)
    return schedule


def _switched(session: Session, schedule: Schedule, *, enabled: bool) -> Schedule:
    switch(session, schedule, enabled=enabled)
    return schedule


def _write(parts: Services, change: Callable[[Session], Schedule]) -> ScheduleShown:
    with parts.database.write() as session:
        shown = ScheduleShown.of(change(session))
    parts.wake_scheduler()
    return shown
