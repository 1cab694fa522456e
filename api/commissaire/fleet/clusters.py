"""Clusters and their members: the rules, on a session that the caller commits."""

from __future__ import annotations

from collections.abc import Iterable

from sqlmodel import Session, col, select

from commissaire.clock import now
from commissaire.fleet.container_managers import has_nodes, registers_nodes
from commissaire.fleet.errors import Conflict, NotFound, NotReady
from commissaire.records import (
    BEING_BOOTSTRAPPED,
    DEFAULT_NETWORK,
    READY,
    Cluster,
    ClusterStatus,
    ContainerManager,
    ContainerManagerType,
    Host,
    HostStatus,
    Network,
    Operation,
)


def get_cluster(session: Session, name: str) -> Cluster:
    """Return a cluster.

    Raises:
        NotFound: there is none of that name.
    """
    cluster = session.exec(select(Cluster).where(Cluster.name == name)).first()
    if cluster is None:
        raise NotFound(f"there is no cluster {name}")
    return cluster


def list_names(session: Session) -> list[str]:
    """Return all clusters' names, sorted."""
    return list(session.exec(select(Cluster.name).order_by(col(Cluster.name))))


def put_cluster(session: Session, name: str, network: str | None, container_manager: str | None) -> Cluster:
    """Make a cluster, or change the network and container manager of the one there is; its members stay.

    Raises:
        Conflict: the network or the container manager does not exist, or hosts are nodes and would belong to none.
    """
    wanted_network = network or DEFAULT_NETWORK
    if session.get(Network, wanted_network) is None:
        raise Conflict(f"there is no network {wanted_network}; create it first, or leave it out for {DEFAULT_NETWORK}")
    manager = session.get(ContainerManager, container_manager) if container_manager else None
    if container_manager and manager is None:
        raise Conflict(f"there is no container manager {container_manager}; create it first, or leave it out for none")
    cluster = session.exec(select(Cluster).where(Cluster.name == name)).first() or Cluster(name=name)
    if manager is None or not registers_nodes(manager):  # another one may be the same cluster by other credentials
        for host in members(session, cluster):
            _check_no_node(session, cluster, host)
    cluster.network, cluster.container_manager = wanted_network, container_manager or None
    session.add(cluster)
    session.flush()
    return cluster


def delete_cluster(session: Session, name: str, *, force: bool = False) -> None:
    """Delete a cluster. Its hosts stay, in no cluster; the records of its operations stay.

    Raises:
        NotFound: there is none of that name.
        Conflict: an operation runs on it, or a host is still a node, and it is not forced.
    """
    cluster = get_cluster(session, name)
    running = session.exec(select(Operation).where(Operation.exclusive_key == f"cluster/{name}")).first()
    if running is not None:
        raise Conflict(f"operation {running.id} ({running.kind}) runs on cluster {name}; cancel it or wait for its end")
    for host in members(session, cluster):
        _leave(session, cluster, host, force=force)
    session.flush()
    session.delete(cluster)


def members(session: Session, cluster: Cluster) -> list[Host]:
    """Return the hosts of *cluster* in the order they were recorded."""
    return list(session.exec(select(Host).where(Host.cluster_id == cluster.id).order_by(col(Host.id))))


def ready_status(session: Session, cluster: Cluster, host: Host) -> HostStatus:
    """Return the status of a member that works: active, unless a container manager has to know it, and does not."""
    if host.node_name:
        return HostStatus.ACTIVE
    manager = session.get(ContainerManager, cluster.container_manager) if cluster.container_manager else None
    managed = manager is not None and manager.type != ContainerManagerType.TRIVIAL
    return HostStatus.DISASSOCIATED if managed else HostStatus.ACTIVE


def came_up(session: Session, host: Host) -> None:
    """Record that *host* can be used."""
    cluster = session.get(Cluster, host.cluster_id) if host.cluster_id is not None else None
    host.status = ready_status(session, cluster, host) if cluster else HostStatus.DISASSOCIATED
    host.message = ""
    host.last_check = now()


def status_of(statuses: Iterable[str]) -> ClusterStatus:
    """Add up the statuses of a cluster's hosts."""
    active = [status == HostStatus.ACTIVE for status in statuses]
    if all(active):
        return ClusterStatus.OK
    return ClusterStatus.DEGRADED if any(active) else ClusterStatus.FAILED


def join(session: Session, cluster: Cluster, host: Host) -> bool:
    """Make *host* a member of *cluster*; return whether it has to be made a node of the container manager now.

    Nothing changes when it is a member.

    Raises:
        NotReady: the host is neither active nor disassociated.
        Conflict: it is in another cluster.
    """
    if host.cluster_id == cluster.id:
        return False
    if host.cluster_id is not None:
        other = session.get_one(Cluster, host.cluster_id)
        raise Conflict(f"host {host.address} is in cluster {other.name}; take it out of there first")
    if host.status not in READY:
        raise NotReady(
            f"host {host.address} is {host.status}; it can join a cluster when it is active or disassociated"
        )
    host.cluster_id = cluster.id
    host.status = ready_status(session, cluster, host)
    session.add(host)
    return has_nodes(session, cluster)


def unjoin(session: Session, cluster: Cluster, host: Host, *, force: bool = False) -> None:
    """Take *host* out of *cluster*; nothing changes when it is no member.

    Raises:
        Conflict: it is still a node, and it is not forced.
    """
    if host.cluster_id == cluster.id:
        _leave(session, cluster, host, force=force)


def check_members(session: Session, cluster: Cluster, old: set[str]) -> None:
    """Compare the members of *cluster* with what a client takes for them.

    Raises:
        Conflict: they are others.
    """
    present = {host.address for host in members(session, cluster)}
    if old != present:
        raise Conflict(
            f"the members of cluster {cluster.name} are {sorted(present)}, not {sorted(old)}; read them again"
        )


def replace_members(session: Session, cluster: Cluster, new: list[Host]) -> list[Host]:
    """Make *new* the members of *cluster*; return those that have to be made nodes of the container manager now.

    Raises:
        Conflict: a new one is in another cluster, or one that goes is still a node.
        NotReady: a new one is neither active nor disassociated.
    """
    present = {host.address: host for host in members(session, cluster)}
    wanted = {host.address for host in new}
    nodes_to_be = [host for host in new if join(session, cluster, host)]
    for address, host in present.items():
        if address not in wanted:
            _leave(session, cluster, host)
    return nodes_to_be


def check_no_node(session: Session, host: Host) -> None:
    """See that nobody loses sight of a node of a container manager.

    Raises:
        Conflict: *host* is one, or is just being made one.
    """
    if host.cluster_id is not None:
        _check_no_node(session, session.get_one(Cluster, host.cluster_id), host)


def _check_no_node(session: Session, cluster: Cluster, host: Host) -> None:
    if not has_nodes(session, cluster):
        return
    if host.status in BEING_BOOTSTRAPPED:
        raise Conflict(
            f"host {host.address} is just being made a node of container manager {cluster.container_manager}; wait for "
            "the end of its bootstrap, or force this"
        )
    if host.node_name:
        raise Conflict(
            f"host {host.address} is node {host.node_name} of container manager {cluster.container_manager}; let it "
            f"leave first (commctl cluster node-leave start {cluster.name} {host.address}), or force this: then its "
            "node stays there"
        )


def _leave(session: Session, cluster: Cluster, host: Host, *, force: bool = False) -> None:
    if not force:
        _check_no_node(session, cluster, host)
    host.cluster_id = None
    if host.status == HostStatus.ACTIVE:
        host.status = HostStatus.DISASSOCIATED
    session.add(host)
