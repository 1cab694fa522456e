"""Rolling operations on clusters, such as restarts: asking for one. On a session that the caller commits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session, col, select

from commissaire.fleet.container_managers import has_nodes
from commissaire.fleet.errors import Conflict, Invalid
from commissaire.fleet.operations import Requester, add_hosts, claim_cluster, record_operation, settle
from commissaire.fleet.parameters import check_parameters
from commissaire.fleet.selection import arrange_hosts, select_hosts
from commissaire.records import (
    BEING_BOOTSTRAPPED,
    OF_NODES,
    Cluster,
    Host,
    HostStatus,
    Operation,
    OperationHostState,
    OperationKind,
    OperationState,
)


def request_rolling(
    session: Session,
    kind: OperationKind,
    cluster: Cluster,
    parameters: dict[str, Any],
    requester: Requester,
    *,
    dry_run: bool = False,
) -> tuple[Operation, bool]:
    """Record a rolling operation on *cluster*; return it and whether it is new. While the same runs, that is returned.

    Raises:
        Conflict: another one runs on the cluster, or it is one of nodes, and the cluster has none.
        Invalid: the parameters can't be used.
    """
    if kind in OF_NODES and not has_nodes(session, cluster):
        raise Conflict(
            f"the hosts of cluster {cluster.name} are no nodes: it has no container manager that can be reached; "
            "give it one first"
        )
    operation = Operation(
        kind=kind, cluster=cluster.name, parameters=check_parameters(kind, parameters), dry_run=dry_run
    )
    active = claim_cluster(session, operation)
    if active is not None:
        return active, False
    members = members_for(session, cluster, operation)
    chosen = select_hosts(members, operation.parameters.get("hosts", []))
    hosts = arrange_hosts(chosen, operation.parameters)
    record_operation(session, operation, requester)
    managed = has_nodes(session, cluster)
    add_hosts(session, operation, [row_of(kind, host, managed=managed) for host in hosts])
    if not hosts:
        settle(session, operation, OperationState.FINISHED, "the cluster has no hosts")
    return operation, True


def members_for(session: Session, cluster: Cluster, operation: Operation) -> Sequence[Host]:
    """Return the hosts of *cluster*, when there are as many as *operation* must leave in service.

    Raises:
        Invalid: there are not.
    """
    members = session.exec(select(Host).where(Host.cluster_id == cluster.id).order_by(col(Host.id))).all()
    least = operation.parameters.get("min_healthy", 0)
    if isinstance(least, int) and least > len(members):
        raise Invalid(f"min_healthy is {least}, but the cluster has only {len(members)} hosts; give a percentage")
    return members


def row_of(kind: OperationKind, host: Host, *, managed: bool) -> dict[str, Any]:
    """Return how *host* begins in an operation: to be worked on, or not, for it is not what that takes.

    In a cluster that is *managed* hosts are nodes, and nobody could drain one that is none.
    """
    message = ""
    if host.status in BEING_BOOTSTRAPPED:
        message = f"the host is {host.status}; {kind} it when that is done"
    elif managed and host.status == HostStatus.DISASSOCIATED:
        message = "the host is no node of the cluster's container manager; bootstrap it again, or take it out"
    return {
        "address": host.address,
        **({"state": OperationHostState.NOT_STARTED, "message": message} if message else {}),
    }
