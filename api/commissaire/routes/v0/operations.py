"""REST v0: restart, upgrade and deploy of a cluster."""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import APIRouter, Response
from sqlmodel import Session

from commissaire.auth.role import Role
from commissaire.fleet.addresses import check_name
from commissaire.fleet.clusters import get_cluster
from commissaire.fleet.errors import NotFound
from commissaire.fleet.hosts import hosts_at
from commissaire.fleet.operations import hosts_of, latest_of_cluster
from commissaire.fleet.rolling import request_rolling
from commissaire.launcher.kinds import KINDS
from commissaire.problems import responses
from commissaire.records import Host, Operation, OperationHostState, OperationKind
from commissaire.routes.v0.bodies import (
    DeployShown,
    DeployWanted,
    HostShown,
    RestartShown,
    RollingShown,
    RollingWanted,
    UpgradeShown,
    check_repeated,
)
from commissaire.routes.v0.json_route import JsonRoute
from commissaire.services import Asker, Parts

router = APIRouter(prefix="/api/v0", tags=["operations"], route_class=JsonRoute)
_Shown = TypeVar("_Shown", bound=RollingShown)


def _starts(shown: type[RollingShown]) -> dict[str, Any]:
    same = {"description": "The same is running already", "model": shown}
    return {
        "status_code": 201,
        "responses": {200: same, **responses(400, 404, 409)},
        "openapi_extra": {"x-role": Role.OPERATOR},
    }


@router.get("/cluster/{name}/restart", responses=responses(404))
def get_restart(name: str, parts: Parts, response: Response) -> RestartShown:
    """Return the newest restart of a cluster; also after the cluster was deleted."""
    return _newest(OperationKind.RESTART, RestartShown, name, parts, response)


@router.put("/cluster/{name}/restart", **_starts(RestartShown))
def put_restart(
    name: str, parts: Parts, asker: Asker, response: Response, body: RollingWanted | None = None
) -> RestartShown:
    """Restart the hosts of a cluster, a window of them at a time. While one runs, that one is returned."""
    return _start(OperationKind.RESTART, RestartShown, name, body, parts, asker, response)


@router.get("/cluster/{name}/upgrade", responses=responses(404))
def get_upgrade(name: str, parts: Parts, response: Response) -> UpgradeShown:
    """Return the newest upgrade of a cluster; also after the cluster was deleted."""
    return _newest(OperationKind.UPGRADE, UpgradeShown, name, parts, response)


@router.put("/cluster/{name}/upgrade", **_starts(UpgradeShown))
def put_upgrade(
    name: str, parts: Parts, asker: Asker, response: Response, body: RollingWanted | None = None
) -> UpgradeShown:
    """Upgrade the hosts of a cluster, a window of them at a time. While one runs, that one is returned."""
    return _start(OperationKind.UPGRADE, UpgradeShown, name, body, parts, asker, response)


@router.get("/cluster/{name}/deploy", responses=responses(404))
def get_deploy(name: str, parts: Parts, response: Response) -> DeployShown:
    """Return the newest deploy on a cluster; also after the cluster was deleted."""
    return _newest(OperationKind.DEPLOY, DeployShown, name, parts, response)


@router.put("/cluster/{name}/deploy", **_starts(DeployShown))
def put_deploy(name: str, parts: Parts, asker: Asker, response: Response, body: DeployWanted) -> DeployShown:
    """Boot a version of the OSTree on the hosts of a cluster. While the same runs, that one is returned."""
    return _start(OperationKind.DEPLOY, DeployShown, name, body, parts, asker, response)


def _newest(kind: OperationKind, shown: type[_Shown], name: str, parts: Parts, response: Response) -> _Shown:
    with parts.database.read() as session:
        operation = latest_of_cluster(session, check_name(name), kind)
        if operation is None:
            raise NotFound(f"cluster {name} was never {KINDS[kind].done}; PUT to the same path starts it")
        return _show(session, operation, shown, response)


def _start(
    kind: OperationKind,
    shown: type[_Shown],
    name: str,
    body: RollingWanted | None,
    parts: Parts,
    asker: Asker,
    response: Response,
) -> _Shown:
    wanted = body or RollingWanted()
    check_repeated("name", wanted.name, name)
    with parts.database.write() as session:
        cluster = get_cluster(session, check_name(name))
        operation, new = request_rolling(session, kind, cluster, wanted.parameters(), asker)
        parts.dispatcher.enqueue(session, operation)
        response.status_code = 201 if new else 200
        return _show(session, operation, shown, response)


def _show(session: Session, operation: Operation, shown: type[_Shown], response: Response) -> _Shown:
    response.headers["Location"] = f"/api/v1/operations/{operation.id}"
    rows = hosts_of(session, operation)
    told = [row for row in rows if row.state in (OperationHostState.FINISHED, OperationHostState.RUNNING)]
    found = hosts_at(session, [row.address for row in told])
    hosts = {row.address: _show_host(row.address, found.get(row.address)) for row in told}
    done = [hosts[row.address] for row in told if row.state == OperationHostState.FINISHED]
    in_process = [hosts[row.address] for row in told if row.state == OperationHostState.RUNNING]
    return shown.of(operation, in_process, **{KINDS[operation.kind].done: done})


def _show_host(address: str, host: Host | None) -> HostShown:
    return HostShown.of(host or Host(address=address, status=""))  # it may have been deleted since
