"""Control of operations: cancel, pause, resume, retry. The rules, on a session that the caller commits."""

from __future__ import annotations

from sqlmodel import Session

from commissaire.fleet.addresses import tell_few
from commissaire.fleet.clusters import get_cluster
from commissaire.fleet.container_managers import has_nodes
from commissaire.fleet.errors import Conflict
from commissaire.fleet.operations import (
    Requester,
    add_event,
    add_hosts,
    claim_cluster,
    give_up_on_hosts,
    hosts_of,
    record_operation,
    settle,
)
from commissaire.fleet.rolling import members_for, row_of
from commissaire.records import (
    OF_GUESTS,
    OF_MACHINES,
    ROLLING,
    TERMINAL,
    Halt,
    Operation,
    OperationHostState,
    OperationKind,
    OperationState,
)

_RETRIED = (
    OperationHostState.FAILED,
    OperationHostState.SKIPPED,
    OperationHostState.NOT_STARTED,
    OperationHostState.CANCELLED,
)


def request_cancel(session: Session, operation: Operation, requester: Requester) -> None:
    """Ask for the end of *operation*: at once when no worker has it, else its worker is to stop it.

    Raises:
        Conflict: it has ended already.
    """
    _check_open(operation)
    operation.cancel_requested_by = requester.name
    session.add(operation)
    if operation.state != OperationState.RUNNING:
        ran = operation.attempt > 0
        if operation.kind == OperationKind.BOOTSTRAP:
            give_up_on_hosts(session, operation)
        settle(
            session,
            operation,
            OperationState.CANCELLED,
            f"cancelled by {requester.name} {f'while it was {operation.state}' if ran else 'before it ran'}",
        )


def request_halt(session: Session, operation: Operation, halt: Halt, requester: Requester, reason: str = "") -> None:
    """Ask that no further hosts of *operation* start, for the time being (pause) or for good (stop).

    Raises:
        Conflict: it has ended already, ends after the current hosts, or is of a kind that has no order.
    """
    _check_open(operation)
    if operation.kind not in ROLLING:
        raise Conflict(
            f"operation {operation.id} is a {operation.kind}, whose hosts don't wait for each other; cancel it"
        )
    if halt == Halt.PAUSE and operation.halt == Halt.STOP:
        raise Conflict(f"operation {operation.id} is being cancelled, and can't be paused; retry it when it has ended")
    if halt == Halt.STOP and operation.state != OperationState.RUNNING:
        request_cancel(session, operation, requester)
        return
    verb = "paused" if halt == Halt.PAUSE else "cancelled"
    operation.halt, operation.halt_reason = halt, f"{verb} by {requester.name}{f': {reason}' if reason else ''}"
    if operation.state == OperationState.QUEUED:
        operation.state, operation.message = OperationState.PAUSED, operation.halt_reason
    session.add(operation)
    add_event(session, operation, operation.halt_reason)


def request_resume(session: Session, operation: Operation, requester: Requester) -> None:
    """Let a paused operation go on, at once.

    Raises:
        Conflict: nobody has paused it.
    """
    _check_open(operation)
    if operation.halt == Halt.STOP:
        raise Conflict(f"operation {operation.id} is being cancelled, and can't be resumed; retry it when it has ended")
    if operation.halt is None and operation.state != OperationState.PAUSED:
        raise Conflict(f"operation {operation.id} is {operation.state}, not paused; there is nothing to resume")
    operation.halt, operation.halt_reason = None, ""
    if operation.state == OperationState.PAUSED:
        operation.state, operation.message, operation.not_before = OperationState.QUEUED, "", None
    session.add(operation)
    add_event(session, operation, f"resumed by {requester.name}")


def request_retry(session: Session, operation: Operation, requester: Requester) -> Operation:
    """Record a new operation like *operation*, on those of its hosts that it did not bring to a good end.

    Who has left the cluster since is left out, and the journal says so.

    Raises:
        Conflict: it has not ended, there is no such host, or another one runs on the cluster.
        Invalid: the cluster has fewer hosts now than it must leave in service.
        NotFound: its cluster was deleted.
    """
    if operation.state not in TERMINAL:
        raise Conflict(f"operation {operation.id} is {operation.state}; wait for its end, or cancel it")
    if operation.kind == OperationKind.BOOTSTRAP:
        raise Conflict(f"operation {operation.id} is a bootstrap; ask for one on each host that failed")
    if operation.kind in (OperationKind.LEASE_SHOW, OperationKind.LEASE_BREAK, *OF_MACHINES, *OF_GUESTS):
        raise Conflict(f"operation {operation.id} is a {operation.kind}; ask for another one")
    left = [row for row in hosts_of(session, operation) if row.state in _RETRIED]
    if not left:
        raise Conflict(f"operation {operation.id} came to a good end on all its hosts; there is nothing to retry")
    again = Operation(
        kind=operation.kind,
        cluster=operation.cluster,
        parameters=operation.parameters,
        dry_run=operation.dry_run,
        retry_of=operation.id,
    )
    cluster = get_cluster(session, again.cluster or "")  # it may have been deleted since
    active = claim_cluster(session, again)
    if active is not None:
        raise Conflict(f"operation {active.id} ({active.kind}) is {active.state} on cluster {again.cluster} already")
    members = {host.address: host for host in members_for(session, cluster, again)}
    gone = [row.address for row in left if row.address not in members]
    if len(gone) == len(left):
        raise Conflict(f"{tell_few(gone)} left cluster {cluster.name} since; there is nothing to retry")
    record_operation(session, again, requester, f"{tell_few(gone)} left the cluster since" if gone else "")
    kind, managed = OperationKind(again.kind), has_nodes(session, cluster)
    still_there = [members[row.address] for row in left if row.address in members]
    add_hosts(session, again, [row_of(kind, host, managed=managed) for host in still_there])
    return again


def _check_open(operation: Operation) -> None:
    if operation.state in TERMINAL:
        raise Conflict(f"operation {operation.id} has ended already: {operation.state}")
