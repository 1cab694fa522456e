"""REST v0: the restart of a cluster."""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlmodel import Session, col, select

from commissaire.auth.role import Role
from commissaire.fleet.addresses import check_name
from commissaire.fleet.clusters import get_cluster
from commissaire.fleet.errors import NotFound
from commissaire.fleet.operations import hosts_of, latest_of_cluster, request_restart
from commissaire.problems import responses
from commissaire.records import Host, Operation, OperationHostState, OperationKind
from commissaire.routes.v0.bodies import HostShown, RestartShown, RestartWanted
from commissaire.routes.v0.json_route import JsonRoute
from commissaire.services import Asker, Parts

router = APIRouter(prefix="/api/v0", tags=["operations"], route_class=JsonRoute)


@router.get("/cluster/{name}/restart", responses=responses(404))
def get_restart(name: str, parts: Parts, response: Response) -> RestartShown:
    """Return the newest restart of a cluster; also after the cluster was deleted."""
    with parts.database.read() as session:
        operation = latest_of_cluster(session, check_name(name), OperationKind.RESTART)
        if operation is None:
            raise NotFound(f"cluster {name} was never restarted")
        return _show(session, operation, response)


@router.put(
    "/cluster/{name}/restart",
    status_code=201,
    openapi_extra={"x-role": Role.OPERATOR},
    responses={200: {"description": "A restart is running already", "model": RestartShown}, **responses(400, 404, 409)},
)
def put_restart(
    name: str, parts: Parts, asker: Asker, response: Response, body: RestartWanted | None = None
) -> RestartShown:
    """Restart the hosts of a cluster, a window of them at a time. While one runs, that one is returned."""
    wanted = body or RestartWanted()
    with parts.database.write() as session:
        cluster = get_cluster(session, check_name(name))
        operation, new = request_restart(session, cluster, wanted.parameters(), asker)
        parts.dispatcher.enqueue(session, operation)
        response.status_code = 201 if new else 200
        return _show(session, operation, response)


def _show(session: Session, operation: Operation, response: Response) -> RestartShown:
    response.headers["Location"] = f"/api/v1/operations/{operation.id}"
    rows = hosts_of(session, operation)
    shown = [row for row in rows if row.state in (OperationHostState.FINISHED, OperationHostState.RUNNING)]
    hosts = _hosts(session, [row.address for row in shown])
    return RestartShown.of(
        operation,
        restarted=[hosts[row.address] for row in shown if row.state == OperationHostState.FINISHED],
        in_process=[hosts[row.address] for row in shown if row.state == OperationHostState.RUNNING],
    )


def _hosts(session: Session, addresses: list[str]) -> dict[str, HostShown]:
    found = {address: HostShown.of(Host(address=address, status="")) for address in addresses}  # some may be deleted
    for start in range(0, len(addresses), 500):
        for host in session.exec(select(Host).where(col(Host.address).in_(addresses[start : start + 500]))):
            found[host.address] = HostShown.of(host)
    return found
