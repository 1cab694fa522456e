"""The leases on hosts: asking who holds them, and breaking them. On a session that the caller commits."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session, col, select

from commissaire.fleet.addresses import tell_few
from commissaire.fleet.clusters import get_cluster
from commissaire.fleet.errors import Invalid, NotFound
from commissaire.fleet.hosts import hosts_at
from commissaire.fleet.operations import Requester, add_hosts, record_operation
from commissaire.records import Host, Operation, OperationKind


def request_leases(
    session: Session,
    kind: OperationKind,
    cluster: str | None,
    addresses: list[str] | None,
    parameters: dict[str, Any],
    requester: Requester,
) -> Operation:
    """Record that the leases on hosts are to be shown or broken: those at *addresses*, or all of *cluster*.

    Raises:
        Invalid: neither or both are given.
        NotFound: there is no such cluster or host.
    """
    if (cluster is None) == (addresses is None):
        raise Invalid("say which hosts: give either cluster or hosts")
    operation = Operation(kind=kind, cluster=cluster, parameters=parameters)
    if cluster is not None:
        members = select(Host.address).where(Host.cluster_id == get_cluster(session, cluster).id)
        addresses = list(session.exec(members.order_by(col(Host.id))))
    addresses = list(dict.fromkeys(addresses or []))
    missing = set(addresses) - hosts_at(session, addresses).keys()
    if missing:
        raise NotFound(f"there is no host {', '.join(sorted(missing))}")
    why = f"; {parameters['reason']}" if "reason" in parameters else ""
    record_operation(session, operation, requester, f"on {tell_few(addresses) or 'no hosts'}{why}")
    add_hosts(session, operation, [{"address": address} for address in addresses])
    return operation
