"""Operations: asking for them, following them, stopping them. The rules, on a session that the caller commits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, insert
from sqlmodel import Session, col, select

from commissaire.bus.notification import ChangeEvent
from commissaire.bus.outbox import announce
from commissaire.clock import now
from commissaire.fleet.cut_short import cut_short
from commissaire.fleet.errors import Conflict, NotFound
from commissaire.records import (
    Cluster,
    Event,
    EventType,
    Host,
    HostStatus,
    Operation,
    OperationHost,
    OperationHostState,
    OperationKind,
    OperationState,
)

BOOTSTRAP_BATCH = 200
"""Hosts that are added while a bootstrap waits for its turn join it, up to this many in one playbook."""

_LIMITS = ("max_unavailable", "max_failures")

BOOTSTRAP_DELAY = timedelta(seconds=0.3)
"""How long a bootstrap waits at least: hosts come several at a time, and one playbook costs less than many."""


@dataclass(frozen=True)
class Requester:
    """Who asks, and with which request."""

    name: str
    request_id: str


def request_bootstrap(session: Session, host: Host, requester: Requester) -> Operation:
    """Record that *host* is to be investigated and bootstrapped, together with others that still wait for it."""
    host.status, host.message = HostStatus.INVESTIGATING, ""
    session.add(host)
    waiting = session.exec(
        select(Operation)
        .where(Operation.kind == OperationKind.BOOTSTRAP, Operation.state == OperationState.QUEUED)
        .where(Operation.attempt == 0)
        .order_by(col(Operation.id).desc())
        .limit(1)
        .with_for_update()
    ).first()
    if waiting is not None:
        members = _number_of_hosts(session, waiting)
        if session.get(OperationHost, (waiting.id, host.address)) is not None:
            return waiting
        if members < BOOTSTRAP_BATCH:
            add_hosts(session, waiting, [{"address": host.address, "position": members}])
            return waiting
    operation = Operation(kind=OperationKind.BOOTSTRAP, not_before=now() + BOOTSTRAP_DELAY)
    record_operation(session, operation, requester)
    add_hosts(session, operation, [{"address": host.address}])
    return operation


def get_operation(session: Session, operation_id: int) -> Operation:
    """Return an operation.

    Raises:
        NotFound: there is none with that id.
    """
    operation = session.get(Operation, operation_id)
    if operation is None:
        raise NotFound(f"there is no operation {operation_id}")
    return operation


def latest_of_cluster(session: Session, cluster: str, kind: OperationKind) -> Operation | None:
    """Return the newest operation of *kind* on the cluster called *cluster*, apart from dry runs."""
    return session.exec(
        select(Operation)
        .where(Operation.cluster == cluster, Operation.kind == kind, col(Operation.dry_run).is_(False))
        .order_by(col(Operation.id).desc())
        .limit(1)
    ).first()


def list_operations(
    session: Session,
    *,
    kind: str | None = None,
    cluster: str | None = None,
    state: str | None = None,
    host: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Operation]:
    """Return operations that match every filter given, newest first; *before* is an id."""
    wanted: list[ColumnElement[bool]] = []
    if kind is not None:
        wanted.append(col(Operation.kind) == kind)
    if cluster is not None:
        wanted.append(col(Operation.cluster) == cluster)
    if state is not None:
        wanted.append(col(Operation.state) == state)
    if before is not None:
        wanted.append(col(Operation.id) < before)
    if host is not None:
        wanted.append(col(Operation.id).in_(select(OperationHost.operation_id).where(OperationHost.address == host)))
    return list(session.exec(select(Operation).where(*wanted).order_by(col(Operation.id).desc()).limit(limit)))


def hosts_of(session: Session, operation: Operation) -> list[OperationHost]:
    """Return the hosts of *operation* in their order."""
    return list(
        session.exec(
            select(OperationHost)
            .where(OperationHost.operation_id == operation.id)
            .order_by(col(OperationHost.position))
        )
    )


def count_hosts(session: Session, operation_ids: list[int]) -> dict[int, dict[str, int]]:
    """Return, for each operation, how many hosts are in which state."""
    rows = session.exec(
        select(OperationHost.operation_id, OperationHost.state, func.count())
        .where(col(OperationHost.operation_id).in_(operation_ids))
        .group_by(col(OperationHost.operation_id), col(OperationHost.state))
    )
    counts: dict[int, dict[str, int]] = {operation_id: {} for operation_id in operation_ids}
    for operation_id, state, number in rows:
        counts[operation_id][state] = number
    return counts


def claim_cluster(session: Session, operation: Operation) -> Operation | None:
    """Make *operation* the only one on its cluster; if one like it is that already, return that one instead.

    Two are alike that do the same to the same hosts, whatever their limits. A dry run changes nothing, and needs no
    cluster for itself.

    Raises:
        Conflict: another one has not ended there.
        NotFound: the cluster was deleted.
    """
    if operation.dry_run:
        return None
    name = operation.cluster
    # two at once: one waits
    if session.exec(select(Cluster.id).where(Cluster.name == name).with_for_update()).first() is None:
        raise NotFound(f"there is no cluster {name} any more")
    key = f"cluster/{name}"
    active = session.exec(select(Operation).where(Operation.exclusive_key == key)).first()
    if active is None:
        operation.exclusive_key = key
        return None
    if _what(active) == _what(operation):
        return active
    other = ", not just what was asked for" if _name(active) == _name(operation) else ""
    raise Conflict(
        f"operation {active.id} ({_name(active)}{other}) is {active.state} on cluster {name}; "
        "wait for its end or cancel it"
    )


def _what(operation: Operation) -> tuple[str, int | None, dict[str, Any]]:
    told = {parameter: value for parameter, value in operation.parameters.items() if parameter not in _LIMITS}
    return operation.kind, operation.retry_of, told


def _name(operation: Operation) -> str:
    version = operation.parameters.get("version")
    return f"{operation.kind} of version {version}" if version else operation.kind


def settle(session: Session, operation: Operation, state: OperationState, message: str) -> None:
    """Bring *operation* to its end, and what is still open of its hosts; another one can then run on its cluster."""
    for row in hosts_of(session, operation):
        if row.state == OperationHostState.RUNNING:  # interrupted in the middle of it
            cancelled = state == OperationState.CANCELLED
            row.state = OperationHostState.CANCELLED if cancelled else OperationHostState.FAILED
            row.message = cut_short(row.phase) if cancelled else f"{state} in this phase"
        elif row.state == OperationHostState.PENDING:
            row.state, row.message = OperationHostState.NOT_STARTED, f"the operation was {state} before its turn"
    operation.state, operation.message = state, message
    operation.finished_at = now()
    operation.owner = operation.heartbeat_at = operation.exclusive_key = operation.halt = None
    session.add(operation)
    add_event(session, operation, message)


def add_event(session: Session, operation: Operation, message: str) -> None:
    """Tell in the journal that *operation* changed its state."""
    session.add(
        Event(
            operation_id=operation.id or 0,
            time=now(),
            type=EventType.OPERATION,
            message=message,
            data={"state": operation.state, "attempt": operation.attempt},
        )
    )


def record_operation(session: Session, operation: Operation, requester: Requester, note: str = "") -> None:
    """Record a new operation, and in its journal that *requester* asked for it, with what is to be noted of that."""
    operation.requested_by, operation.request_id = requester.name, requester.request_id
    session.add(operation)
    session.flush()
    add_event(session, operation, f"{operation.kind} asked for by {requester.name}{f': {note}' if note else ''}")


def add_hosts(session: Session, operation: Operation, rows: list[dict[str, Any]]) -> None:
    """Add hosts to *operation* in their order; each row has at least its `address`."""
    blank = {"state": OperationHostState.PENDING, "phase": "", "message": "", "data": {}, "updated_by_event": 0}
    values = [{**blank, "operation_id": operation.id, "position": position, **row} for position, row in enumerate(rows)]
    if values:
        session.flush()
        session.connection().execute(insert(OperationHost), values)
        announce(session, OperationHost, ChangeEvent.CREATED, values)


def give_up_on_hosts(session: Session, bootstrap: Operation) -> None:
    """Nobody looks at these hosts any more, and their records say so."""
    addresses = select(OperationHost.address).where(OperationHost.operation_id == bootstrap.id)
    for host in session.exec(select(Host).where(col(Host.address).in_(addresses))):
        if host.status in (HostStatus.INVESTIGATING, HostStatus.BOOTSTRAPPING):
            host.status, host.message = HostStatus.FAILED, f"bootstrap {bootstrap.id} was cancelled before it ran"
            session.add(host)


def _number_of_hosts(session: Session, operation: Operation) -> int:
    return session.exec(
        select(func.count()).select_from(OperationHost).where(OperationHost.operation_id == operation.id)
    ).one()
