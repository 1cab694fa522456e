"""REST v0: clusters and their members."""

from __future__ import annotations

from fastapi import APIRouter
from sqlmodel import Session

from commissaire.fleet import clusters
from commissaire.fleet.addresses import canonical_address, check_address, check_name
from commissaire.fleet.errors import NotFound
from commissaire.fleet.hosts import get_host, hosts_at
from commissaire.fleet.operations import request_bootstrap
from commissaire.problems import responses
from commissaire.records import Cluster, HostStatus
from commissaire.routes.v0.bodies import (
    ClusterBrief,
    ClusterMembers,
    ClusterShown,
    ClusterWanted,
    Force,
    HostCounts,
    MembersWanted,
    check_repeated,
)
from commissaire.routes.v0.json_route import JsonRoute
from commissaire.services import Asker, Parts

router = APIRouter(prefix="/api/v0", tags=["clusters"], route_class=JsonRoute)


@router.get("/clusters")
@router.get("/cluster", include_in_schema=False)  # as the documents' heading has it
def list_clusters(parts: Parts) -> list[str]:
    """Return all clusters' names."""
    with parts.database.read() as session:
        return clusters.list_names(session)


@router.get("/cluster/{name}", responses=responses(404))
def get_cluster(name: str, parts: Parts) -> ClusterShown:
    """Return a cluster, with what its hosts add up to."""
    with parts.database.read() as session:
        return _show(session, clusters.get_cluster(session, check_name(name)))


@router.put("/cluster/{name}", status_code=201, responses=responses(400, 404, 409))
def put_cluster(name: str, parts: Parts, body: ClusterWanted | None = None) -> ClusterBrief:
    """Create a cluster, or change the network and container manager of the one there is."""
    wanted = body or ClusterWanted()
    check_repeated("name", wanted.name, name)
    with parts.database.write() as session:
        cluster = clusters.put_cluster(session, check_name(name), wanted.network, wanted.container_manager)
        return ClusterBrief.of(cluster, _show(session, cluster).status)


@router.delete("/cluster/{name}", responses=responses(400, 404, 409))
def delete_cluster(name: str, parts: Parts, force: Force = False) -> list[str]:
    """Delete a cluster. Its hosts stay, in no cluster."""
    with parts.database.write() as session:
        clusters.delete_cluster(session, check_name(name), force=force)
    return []


@router.get("/cluster/{name}/hosts", responses=responses(404))
def list_members(name: str, parts: Parts) -> list[str]:
    """Return the addresses of a cluster's hosts."""
    with parts.database.read() as session:
        return _hostset(session, clusters.get_cluster(session, check_name(name)))


@router.put("/cluster/{name}/hosts", responses=responses(400, 404, 405, 409))
def replace_members(name: str, body: MembersWanted, parts: Parts, asker: Asker) -> ClusterMembers:
    """Replace the members, if `old` are the present ones: that is compared before `new` is looked at."""
    check_repeated("name", body.name, name)
    with parts.database.write() as session:
        cluster = clusters.get_cluster(session, check_name(name))
        clusters.check_members(session, cluster, {canonical_address(address) for address in body.old})
        new = [check_address(address) for address in dict.fromkeys(body.new)]
        found = hosts_at(session, new)
        members = [found.get(address) or get_host(session, address) for address in new]
        for host in clusters.replace_members(session, cluster, members):
            parts.dispatcher.enqueue(session, request_bootstrap(session, host, asker))
        session.flush()
        shown = _show(session, cluster)
        return ClusterMembers(**shown.model_dump(exclude={"hosts"}))


@router.get("/cluster/{name}/hosts/{address}", responses=responses(404))
def get_member(name: str, address: str, parts: Parts) -> list[str]:
    """Return the address when it is a member."""
    with parts.database.read() as session:
        cluster = clusters.get_cluster(session, check_name(name))
        host = get_host(session, check_address(address))
        if host.cluster_id != cluster.id:
            raise NotFound(f"host {host.address} is not in cluster {cluster.name}")
        return [host.address]


@router.put("/cluster/{name}/hosts/{address}", responses=responses(400, 404, 405, 409))
def join(name: str, address: str, parts: Parts, asker: Asker) -> list[str]:
    """Make a host a member; where the cluster has a container manager it is bootstrapped again, as its node."""
    with parts.database.write() as session:
        cluster = clusters.get_cluster(session, check_name(name))
        host = get_host(session, check_address(address))
        if clusters.join(session, cluster, host):
            parts.dispatcher.enqueue(session, request_bootstrap(session, host, asker))
        return [host.address]


@router.delete("/cluster/{name}/hosts/{address}", responses=responses(400, 404, 409))
def unjoin(name: str, address: str, parts: Parts, force: Force = False) -> list[str]:
    """Take a host out of the cluster; also right when it is no member."""
    with parts.database.write() as session:
        cluster = clusters.get_cluster(session, check_name(name))
        try:
            clusters.unjoin(session, cluster, get_host(session, check_address(address)), force=force)
        except NotFound:
            return []
    return []


def _show(session: Session, cluster: Cluster) -> ClusterShown:
    hosts = clusters.members(session, cluster)
    available = sum(host.status == HostStatus.ACTIVE for host in hosts)
    brief = ClusterBrief.of(cluster, clusters.status_of(host.status for host in hosts))
    return ClusterShown(
        **brief.model_dump(),
        hosts=HostCounts(total=len(hosts), available=available, unavailable=len(hosts) - available),
        hostset=[host.address for host in hosts],
    )


def _hostset(session: Session, cluster: Cluster) -> list[str]:
    return [host.address for host in clusters.members(session, cluster)]
