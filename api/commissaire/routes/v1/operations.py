"""REST v1: operations and their journal."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlmodel import Session, col, select

from commissaire.auth.role import Role
from commissaire.fleet.addresses import check_address
from commissaire.fleet.clusters import get_cluster
from commissaire.fleet.operations import (
    count_hosts,
    get_operation,
    hosts_of,
    list_operations,
    request_cancel,
)
from commissaire.fleet.rolling import request_rolling
from commissaire.problems import responses
from commissaire.records import Event, Operation, OperationKind, OperationState
from commissaire.routes.v1.bodies import (
    EventPage,
    EventShown,
    OperationHostList,
    OperationHostShown,
    OperationPage,
    OperationShown,
    OperationWanted,
)
from commissaire.services import Asker, Parts

router = APIRouter(prefix="/api/v1/operations", tags=["operations"])

LARGEST_ID = 2**31 - 1
OperationId = Annotated[int, Query(ge=1, le=LARGEST_ID)]


@router.get("", responses=responses(400, 404))
def list_all(
    parts: Parts,
    kind: OperationKind | None = None,
    cluster: str | None = None,
    state: OperationState | None = None,
    host: str | None = None,
    before: OperationId | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> OperationPage:
    """Return operations, newest first."""
    address = check_address(host) if host is not None else None
    with parts.database.read() as session:
        found = list_operations(
            session, kind=kind, cluster=cluster, state=state, host=address, before=before, limit=limit + 1
        )
        counts = count_hosts(session, [operation.id or 0 for operation in found])
    shown = [OperationShown.of(operation, counts[operation.id or 0]) for operation in found[:limit]]
    return OperationPage(items=shown, next=shown[-1].id if len(found) > limit else None)


@router.post(
    "",
    status_code=201,
    openapi_extra={"x-role": Role.OPERATOR},
    responses={
        200: {"description": "The same is running already", "model": OperationShown},
        **responses(400, 404, 409),
    },
)
def create(body: OperationWanted, parts: Parts, asker: Asker, response: Response) -> OperationShown:
    """Ask for an operation on a cluster. While the same one runs there, that one is returned."""
    with parts.database.write() as session:
        cluster = get_cluster(session, body.cluster)
        parameters = body.parameters.model_dump(exclude_none=True)
        operation, new = request_rolling(session, body.kind, cluster, parameters, asker)
        parts.dispatcher.enqueue(session, operation)
        response.status_code = 201 if new else 200
        response.headers["Location"] = f"/api/v1/operations/{operation.id}"
        return show(session, operation)


@router.get("/{operation_id}", responses=responses(404))
def get(operation_id: int, parts: Parts) -> OperationShown:
    """Return an operation."""
    with parts.database.read() as session:
        return show(session, find(session, operation_id))


@router.get("/{operation_id}/hosts", responses=responses(404))
def get_hosts(operation_id: int, parts: Parts) -> OperationHostList:
    """Return how it stands with each host of an operation."""
    with parts.database.read() as session:
        rows = hosts_of(session, find(session, operation_id))
        return OperationHostList(items=[OperationHostShown.of(row) for row in rows])


@router.get("/{operation_id}/events", responses=responses(400, 404))
def get_events(
    operation_id: int,
    parts: Parts,
    after: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=5000)] = 500,
) -> EventPage:
    """Return an operation's journal, oldest first."""
    with parts.database.read() as session:
        events = session.exec(
            select(Event)
            .where(Event.operation_id == find(session, operation_id).id, col(Event.seq) > after)
            .order_by(col(Event.seq))
            .limit(limit + 1)
        ).all()
    shown = [EventShown.of(event) for event in events[:limit]]
    return EventPage(items=shown, next=shown[-1].seq if len(events) > limit else None)


@router.post(
    "/{operation_id}/cancel",
    status_code=202,
    openapi_extra={"x-role": Role.OPERATOR},
    responses=responses(404, 409),
)
def cancel(operation_id: int, parts: Parts, asker: Asker) -> OperationShown:
    """Stop an operation now. Hosts that are done stay done; the host's state of those under way is on record."""
    with parts.database.write() as session:
        operation = find(session, operation_id)
        request_cancel(session, operation, asker)
        shown = show(session, operation)
    parts.dispatcher.cancel(shown.id)
    parts.notices.publish(shown.id)
    return shown


def find(session: Session, operation_id: int) -> Operation:
    """Return an operation; no id is too large to be looked for."""
    return get_operation(session, operation_id if 0 < operation_id <= LARGEST_ID else 0)


def show(session: Session, operation: Operation) -> OperationShown:
    """Show an operation with its hosts counted."""
    session.flush()
    return OperationShown.of(operation, count_hosts(session, [operation.id or 0])[operation.id or 0])
