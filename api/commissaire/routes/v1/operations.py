"""REST v1: operations and their journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from commissaire.auth.authorisation import check_administrator
from commissaire.auth.role import Role
from commissaire.fleet.addresses import check_address, tell_few
from commissaire.fleet.clusters import get_cluster
from commissaire.fleet.control import request_cancel, request_halt, request_resume, request_retry
from commissaire.fleet.idempotency import once
from commissaire.fleet.leases import request_leases
from commissaire.fleet.operation_secrets import forget_secrets
from commissaire.fleet.operations import Requester, count_hosts, get_operation, hosts_of, list_operations
from commissaire.fleet.rolling import request_rolling
from commissaire.problems import responses
from commissaire.records import TERMINAL, Event, EventType, Halt, Operation, OperationKind, OperationState
from commissaire.requests import AUDIT_DETAIL
from commissaire.routes.v1.bodies import (
    CancelWanted,
    EventPage,
    EventShown,
    LeaseBreakWanted,
    OperationHostList,
    OperationHostShown,
    OperationPage,
    OperationShown,
    OperationWanted,
    PauseWanted,
    RollingWanted,
)
from commissaire.services import Asker, Parts, Services

router = APIRouter(prefix="/api/v1/operations", tags=["operations"])

LARGEST_ID = 2**31 - 1
OperationId = Annotated[int, Query(ge=1, le=LARGEST_ID)]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Of your choice; the same request with the same key gets the operation that the first one got.",
    ),
]


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
        200: {"description": "The same is running already, or was asked for with this key", "model": OperationShown},
        **responses(400, 404, 409, 422),
    },
)
def create(
    body: OperationWanted,
    request: Request,
    parts: Parts,
    asker: Asker,
    response: Response,
    idempotency_key: Key = None,
) -> OperationShown:
    """Ask for an operation. While the same rolling one runs on the cluster, that one is returned."""
    setattr(request.state, AUDIT_DETAIL, _told(body))
    if isinstance(body, RollingWanted) and body.parameters.is_code:
        check_administrator(request, "a check by a command or playbook")

    def ask(session: Session) -> tuple[Operation, bool]:
        if isinstance(body, RollingWanted):
            cluster = get_cluster(session, body.cluster)
            parameters = body.parameters.model_dump(exclude_none=True)
            return request_rolling(session, body.kind, cluster, parameters, asker, dry_run=body.dry_run)
        hosts = [check_address(address) for address in body.hosts] if body.hosts else None
        parameters = body.parameters.model_dump() if isinstance(body, LeaseBreakWanted) else {}
        return request_leases(session, body.kind, body.cluster, hosts, parameters, asker), True

    return _ask_once(parts, asker, response, idempotency_key, body.model_dump(mode="json", exclude_unset=True), ask)


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
    host: str | None = None,
    types: Annotated[
        list[EventType] | None, Query(alias="type", description="Of these types only; may be repeated.")
    ] = None,
) -> EventPage:
    """Return an operation's journal, oldest first."""
    wanted = [col(Event.seq) > after]
    if host is not None:
        wanted.append(col(Event.host) == check_address(host))
    if types:
        wanted.append(col(Event.type).in_(types))
    with parts.database.read() as session:
        events = session.exec(
            select(Event)
            .where(Event.operation_id == find(session, operation_id).id, *wanted)
            .order_by(col(Event.seq))
            .limit(limit + 1)
        ).all()
    shown = [EventShown.of(event) for event in events[:limit]]
    return EventPage(items=shown, next=shown[-1].seq if len(events) > limit else None)


@router.post(
    "/{operation_id}/cancel",
    status_code=202,
    openapi_extra={"x-role": Role.OPERATOR},
    responses=responses(400, 404, 409),
)
def cancel(operation_id: int, parts: Parts, asker: Asker, body: CancelWanted | None = None) -> OperationShown:
    """Stop an operation now, or after the hosts under way. What is done stays done."""
    if body is not None and body.after_current_hosts:
        return _control(
            parts, operation_id, lambda session, operation: request_halt(session, operation, Halt.STOP, asker)
        )

    def ask(session: Session, operation: Operation) -> None:
        request_cancel(session, operation, asker)
        if operation.state in TERMINAL:
            forget_secrets(session, parts.secrets, operation)

    return _control(parts, operation_id, ask)


@router.post(
    "/{operation_id}/pause",
    status_code=202,
    openapi_extra={"x-role": Role.OPERATOR},
    responses=responses(400, 404, 409),
)
def pause(operation_id: int, parts: Parts, asker: Asker, body: PauseWanted | None = None) -> OperationShown:
    """Start no further hosts. Those under way come to their end; then the operation is paused, until it is resumed."""
    reason = body.reason if body is not None else ""
    return _control(
        parts, operation_id, lambda session, operation: request_halt(session, operation, Halt.PAUSE, asker, reason)
    )


@router.post(
    "/{operation_id}/resume",
    status_code=202,
    openapi_extra={"x-role": Role.OPERATOR},
    responses=responses(404, 409),
)
def resume(operation_id: int, parts: Parts, asker: Asker) -> OperationShown:
    """Let a paused operation go on with the hosts that are left."""
    return _control(parts, operation_id, lambda session, operation: request_resume(session, operation, asker))


@router.post(
    "/{operation_id}/retry",
    status_code=201,
    openapi_extra={"x-role": Role.OPERATOR},
    responses={
        200: {"description": "It was asked for with this key", "model": OperationShown},
        **responses(400, 404, 409, 422),
    },
)
def retry(
    operation_id: int, parts: Parts, asker: Asker, response: Response, idempotency_key: Key = None
) -> OperationShown:
    """Ask for an operation like one that has ended, on those of its hosts that did not come to a good end."""
    return _ask_once(
        parts,
        asker,
        response,
        idempotency_key,
        {"retry_of": operation_id},
        lambda session: (request_retry(session, find(session, operation_id), asker), True),
    )


def _told(body: OperationWanted) -> str:
    dry = " (dry run)" if isinstance(body, RollingWanted) and body.dry_run else ""
    where = f"cluster {body.cluster}" if isinstance(body, RollingWanted) or not body.hosts else tell_few(body.hosts)
    why = f"; {body.parameters.reason}" if isinstance(body, LeaseBreakWanted) else ""
    return f"{body.kind} on {where}{dry}{why}"


def _ask_once(
    parts: Services,
    asker: Requester,
    response: Response,
    key: str | None,
    request: dict[str, Any],
    ask: Callable[[Session], tuple[Operation, bool]],
) -> OperationShown:
    def asked() -> OperationShown:
        with parts.database.write() as session:
            operation, new = once(session, asker, key, request, lambda: ask(session))
            parts.dispatcher.enqueue(session, operation)
            response.status_code = 201 if new else 200
            response.headers["Location"] = f"/api/v1/operations/{operation.id}"
            return show(session, operation)

    try:
        return asked()
    except IntegrityError:
        if key is None:
            raise
        return asked()  # the same request came at the same moment: now its operation is there


def _control(parts: Services, operation_id: int, ask: Callable[[Session, Operation], None]) -> OperationShown:
    with parts.database.write() as session:
        operation = find(session, operation_id)
        session.refresh(operation, with_for_update=True)  # a worker may be about to claim it, or to end it
        ask(session, operation)
        parts.dispatcher.enqueue(session, operation)
        shown = show(session, operation)
    parts.dispatcher.control(shown.id)
    parts.notices.publish(shown.id)
    return shown


def find(session: Session, operation_id: int) -> Operation:
    """Return an operation; no id is too large to be looked for."""
    return get_operation(session, operation_id if 0 < operation_id <= LARGEST_ID else 0)


def show(session: Session, operation: Operation) -> OperationShown:
    """Show an operation with its hosts counted."""
    session.flush()
    return OperationShown.of(operation, count_hosts(session, [operation.id or 0])[operation.id or 0])
