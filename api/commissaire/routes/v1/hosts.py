"""REST v1: hosts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from sqlmodel import Session, select

from commissaire.auth.role import Role
from commissaire.fleet.addresses import check_address, check_host_key
from commissaire.fleet.checks import request_check
from commissaire.fleet.clusters import get_cluster
from commissaire.fleet.container_managers import manager_of, revealed_options
from commissaire.fleet.errors import Conflict
from commissaire.fleet.hosts import check_idle, get_host, list_hosts
from commissaire.fleet.labels import change_labels
from commissaire.fleet.operations import request_bootstrap
from commissaire.fleet.sources import known_sources, state_of
from commissaire.launcher.kinds import lease_name
from commissaire.managers.error import ManagerError
from commissaire.managers.kubernetes import node_status
from commissaire.managers.kubernetes import uncordon as manager_uncordon
from commissaire.problems import responses
from commissaire.records import TERMINAL, Cluster, ContainerManager, Host, HostStatus, Operation
from commissaire.routes.v1.bodies import (
    HostDetail,
    HostKeyWanted,
    HostPage,
    LabelChangesWanted,
    LabelsWanted,
    NodeShown,
    NodeUncordoned,
    OperationShown,
)
from commissaire.routes.v1.operations import show
from commissaire.services import Asker, Parts, Services

router = APIRouter(prefix="/api/v1/hosts", tags=["hosts"])


@router.get("", responses=responses(400, 404))
def list_all(
    parts: Parts,
    cluster: str | None = None,
    status: HostStatus | None = None,
    label: Annotated[
        list[str], Query(max_length=16, description="`key=value`, or `key` for any value; each must be there.")
    ] = [],  # noqa: B006  FastAPI makes a copy
    after: str = "",
    limit: Annotated[int, Query(ge=1, le=5000)] = 500,
) -> HostPage:
    """Return hosts by address."""
    with parts.database.read() as session:
        cluster_id = get_cluster(session, cluster).id if cluster is not None else None
        sources = known_sources(session, parts.settings.sources)
        found = list_hosts(session, cluster_id=cluster_id, status=status, labels=label, after=after, limit=limit + 1)
        names: dict[int | None, str] = dict(session.exec(select(Cluster.id, Cluster.name)).all())
    shown = [HostDetail.of(host, names.get(host.cluster_id), state_of(host, sources)) for host in found[:limit]]
    return HostPage(items=shown, next=shown[-1].address if len(found) > limit else None)


@router.get("/{address}", responses=responses(404))
def get(address: str, parts: Parts) -> HostDetail:
    """Return a host."""
    with parts.database.read() as session:
        return _show(session, parts, get_host(session, check_address(address)))


@router.put("/{address}/host-key", responses=responses(400, 404))
def put_host_key(address: str, body: HostKeyWanted, parts: Parts) -> HostDetail:
    """Pin another host key, or none, so that the next one the host shows is pinned."""
    with parts.database.write() as session:
        host = get_host(session, check_address(address))
        host.host_key = None if body.host_key is None else check_host_key(body.host_key)
        session.add(host)
        return _show(session, parts, host)


@router.put("/{address}/labels", responses=responses(400, 404))
def put_labels(address: str, body: LabelsWanted, parts: Parts) -> HostDetail:
    """Give a host these labels, and no others."""
    with parts.database.write() as session:
        host = get_host(session, check_address(address))
        host.labels = {}
        change_labels(host, dict(body.labels))
        session.add(host)
        return _show(session, parts, host)


@router.post("/{address}/labels", responses=responses(400, 404))
def post_labels(address: str, body: LabelChangesWanted, parts: Parts) -> HostDetail:
    """Change some of a host's labels; null takes one away."""
    with parts.database.write() as session:
        host = get_host(session, check_address(address))
        change_labels(host, body.labels)
        session.add(host)
        return _show(session, parts, host)


@router.post("/{address}/bootstrap", status_code=201, openapi_extra={"x-role": Role.OPERATOR}, responses=responses(404))
def bootstrap(address: str, parts: Parts, asker: Asker, response: Response) -> OperationShown:
    """Investigate and bootstrap a host again."""
    with parts.database.write() as session:
        operation = request_bootstrap(session, get_host(session, check_address(address)), asker)
        parts.dispatcher.enqueue(session, operation)
        response.headers["Location"] = f"/api/v1/operations/{operation.id}"
        return show(session, operation)


@router.post(
    "/{address}/check", status_code=202, responses=responses(404, 409), openapi_extra={"x-role": Role.OPERATOR}
)
def check(address: str, parts: Parts) -> HostDetail:
    """Check a host now. `last_check` moves when it can be used; `check_failures` counts the checks that failed."""
    if not parts.settings.watch_interval_seconds:
        raise Conflict("no host is checked here: watch_interval_seconds is 0; set it, and start the server again")
    with parts.database.write() as session:
        host = get_host(session, check_address(address))
        request_check(session, host)
        shown = _show(session, parts, host)
    parts.wake_watcher()
    return shown


@router.get("/{address}/node", responses=responses(404, 409))
def get_node(address: str, parts: Parts) -> NodeShown:
    """Ask a host's container manager for its node: conditions, versions, who cordoned it, pods."""
    with parts.database.read() as session:
        host = get_host(session, check_address(address))
        manager, options = _manager(session, parts, host)
    try:
        return NodeShown.of(node_status(options, host.node_name))
    except (ManagerError, ValueError) as error:
        raise Conflict(f"container manager {manager.name}: {error}") from error


@router.post("/{address}/uncordon", responses=responses(400, 404, 409), openapi_extra={"x-role": Role.OPERATOR})
def uncordon(
    address: str,
    parts: Parts,
    force: Annotated[bool, Query(description="Also when nobody here knows whether the run has ended.")] = False,
) -> NodeUncordoned:
    """Let pods come to a host's node again that an operation left cordoned; one of somebody else stays so."""
    with parts.database.read() as session:
        host = get_host(session, check_address(address))
        check_idle(session, host.address)
        manager, options = _manager(session, parts, host)
    try:
        changed = manager_uncordon(options, host.node_name, _objection(parts, force))
    except ManagerError as error:
        raise Conflict(f"container manager {manager.name}: {error}") from error
    return NodeUncordoned(address=host.address, node=host.node_name, uncordoned=changed)


def _manager(session: Session, parts: Services, host: Host) -> tuple[ContainerManager, dict[str, Any]]:
    manager = manager_of(session, host)
    if manager is None or not host.node_name:
        raise Conflict(f"host {host.address} is no node of a container manager")
    return manager, revealed_options(session, parts.secrets, manager)


def _objection(parts: Services, force: bool) -> Callable[[str, str], str]:
    """Say of a cordon whose operation has not ended here, or is none of this server's, that it must stay."""

    def objection(operation_id: str, owner: str) -> str:
        number = operation_id.partition("-")[0]
        with parts.database.read() as session:
            operation = session.get(Operation, int(number)) if number.isdecimal() and len(number) < 10 else None
        ours = operation is not None and lease_name(operation.id, operation.created_at) == operation_id
        if force or (ours and operation is not None and operation.state in TERMINAL):
            return ""
        who = owner or "another run"
        return f"it is cordoned for {who}, and nobody here knows that this has ended; force it if it has"

    return objection


def _show(session: Session, parts: Services, host: Host) -> HostDetail:
    cluster = session.get(Cluster, host.cluster_id) if host.cluster_id is not None else None
    state = state_of(host, known_sources(session, parts.settings.sources))
    return HostDetail.of(host, cluster.name if cluster else None, state)
