"""What a container manager's list of nodes means for the hosts' records. On a session that the caller commits."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlmodel import Session, col, select

from commissaire.fleet.checks import is_busy
from commissaire.managers.kubernetes import SeenNode
from commissaire.records import READY, Cluster, Host, HostStatus

_MESSAGE = "node: "


def record_nodes(session: Session, manager: str, nodes: Iterable[SeenNode], begun: datetime) -> dict[str, str]:
    """Record which hosts of the clusters of *manager* are which of its *nodes*, listed since *begun*.

    A node that is called otherwise is known by its address. A host that an operation has had since *begun* is left
    alone. Returns, by address, what has changed.
    """
    names = {node.name for node in nodes}
    by_address = {address: node.name for node in nodes for address in node.addresses}
    hosts = session.exec(
        select(Host)
        .join(Cluster, col(Cluster.id) == Host.cluster_id)
        .where(Cluster.container_manager == manager, col(Host.bootstrapped).is_(True))
        .where(col(Host.status).in_((*READY, HostStatus.FAILED)), ~is_busy(begun))
        .with_for_update(of=Host)
    )
    news = {}
    for host in hosts:
        now = host.node_name if host.node_name in names else by_address.get(host.address, "")
        if now == host.node_name:
            continue
        before, host.node_name = host.node_name, now
        if not before:
            what = f"it is node {now} of container manager {manager}"
        elif now:
            what = f"its node is called {now} in container manager {manager} now, not {before} any more"
        else:
            what = (
                f"its node {before} is gone from container manager {manager}; bootstrap the host again (commctl host "
                "bootstrap) to make it a node, or take it out of the cluster"
            )
        if host.status != HostStatus.FAILED:
            host.status = HostStatus.ACTIVE if now else HostStatus.DISASSOCIATED
            host.message = _MESSAGE + what if before else ""
        session.add(host)
        news[host.address] = what
    return news
