"""REST v0: hosts."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from commissaire.auth.role import Role
from commissaire.clock import naive_iso
from commissaire.fleet import hosts
from commissaire.fleet.addresses import canonical_address, check_address, check_host_key, check_user
from commissaire.fleet.container_managers import manager_of, revealed_options
from commissaire.fleet.errors import Invalid, NotFound
from commissaire.fleet.hosts import HostRequest
from commissaire.fleet.keys import SSH_KEY_FIELD, check_encoded_key, secret_owner
from commissaire.fleet.operations import request_bootstrap
from commissaire.fleet.sources import check_source, take_over_listed
from commissaire.managers.error import ManagerError
from commissaire.managers.kubernetes import node_status
from commissaire.problems import responses
from commissaire.records import ContainerManagerType, Host
from commissaire.records.as_json import iso_time, json_array
from commissaire.routes.v0.bodies import (
    Force,
    HostCreds,
    HostShown,
    HostStatusOfHost,
    HostStatusShown,
    HostWanted,
    check_repeated,
)
from commissaire.routes.v0.json_route import JsonRoute
from commissaire.services import Asker, Parts

router = APIRouter(prefix="/api/v0", tags=["hosts"], route_class=JsonRoute)


@router.get("/hosts", response_model=list[HostShown])
def list_hosts(parts: Parts) -> Response:
    """Return all host records."""
    table = Host.__table__.c  # type: ignore[attr-defined]
    fields = {
        "address": table.address,
        "status": table.status,
        "os": table.os,
        "cpus": table.cpus,
        "memory": table.memory_kb,
        "space": table.space_bytes,
        "last_check": iso_time(table.last_check),
        "source": table.source,
    }
    with parts.database.read() as session:
        return Response(json_array(session, fields, table.id), media_type="application/json")


@router.get("/host/{address}", responses=responses(404))
def get_host(address: str, parts: Parts) -> HostShown:
    """Return a host record."""
    with parts.database.read() as session:
        return HostShown.of(hosts.get_host(session, check_address(address)))


@router.put(
    "/host/{address}", status_code=201, openapi_extra={"x-role": Role.REGISTRAR}, responses=responses(400, 404, 409)
)
def put_host(address: str, parts: Parts, asker: Asker, body: HostWanted | None = None) -> HostShown:
    """Record a host; it is investigated and bootstrapped in the background. The same again changes nothing."""
    return _put(_checked(address, body or HostWanted()), parts, asker)


@router.put("/host", status_code=201, openapi_extra={"x-role": Role.REGISTRAR}, responses=responses(400, 409))
def put_calling_host(request: Request, parts: Parts, asker: Asker, body: HostWanted | None = None) -> HostShown:
    """Record the host that sends this request, for its boot script; `address` in the body names another one."""
    wanted = body or HostWanted()
    wanted.address = wanted.address or (request.client.host if request.client else "")
    try:
        checked = _checked(wanted.address, wanted)
    except NotFound as error:  # the body is wrong then: this URL has no address
        raise Invalid(f"address {error}") from error
    return _put(checked, parts, asker)


@router.delete("/host/{address}", responses=responses(400, 404, 409))
def delete_host(address: str, parts: Parts, force: Force = False) -> list[str]:
    """Forget a host, its key and its membership."""
    with parts.database.write() as session:
        hosts.delete_host(session, parts.secrets, check_address(address), force=force)
    return []


@router.get(
    "/host/{address}/creds",
    responses=responses(404),
    openapi_extra={"x-role": Role.ADMINISTRATOR, "x-audit": True},
)
def get_host_creds(address: str, parts: Parts, response: Response) -> HostCreds:
    """Return by which user and key a host is reached; for administrators, and each reading is audited."""
    response.headers["Cache-Control"] = "no-store"
    with parts.database.read() as session:
        host = hosts.get_host(session, check_address(address))
        key = parts.secrets.get(session, secret_owner(host), SSH_KEY_FIELD)
    return HostCreds(address=host.address, ssh_priv_key=key or "", remote_user=host.remote_user)


@router.get("/host/{address}/status", responses=responses(404))
def get_host_status(address: str, parts: Parts) -> HostStatusShown:
    """Return a host's status, and what its container manager says of it: `error` when that can't be asked."""
    with parts.database.read() as session:
        host = hosts.get_host(session, check_address(address))
        manager = manager_of(session, host)
        options = revealed_options(session, parts.secrets, manager) if manager else {}
    own = HostStatusOfHost(last_check=naive_iso(host.last_check) or "", status=host.status)
    if manager is None:
        return HostStatusShown(type="host_only", host=own, container_manager={})
    found: dict[str, Any] = {}
    if manager.type != ContainerManagerType.TRIVIAL:
        try:
            found = node_status(options, host.node_name or host.address)
        except ManagerError as error:
            found = {"error": f"container manager {manager.name}: {error}"}
    return HostStatusShown(type=manager.type, host=own, container_manager=found)


def _put(wanted: HostRequest, parts: Parts, asker: Asker) -> HostShown:
    check_source(wanted.source, parts.settings.sources)
    with parts.database.read() as session:  # machines register at each boot: nobody need wait for that
        same = hosts.find_same(session, parts.secrets, wanted)
    if same is not None:
        return HostShown.of(same)
    with parts.database.write() as session:
        host, new = hosts.put_host(session, parts.secrets, wanted)
        if wanted.source:
            take_over_listed(session, host)
        if new:
            parts.dispatcher.enqueue(session, request_bootstrap(session, host, asker))
        return HostShown.of(host)


def _checked(in_url: str, wanted: HostWanted) -> HostRequest:
    address = check_address(in_url)
    check_repeated("address", wanted.address and canonical_address(wanted.address), address)
    return HostRequest(
        address=address,
        ssh_priv_key=None if wanted.ssh_priv_key is None else check_encoded_key(wanted.ssh_priv_key),
        remote_user=check_user(wanted.remote_user) if wanted.remote_user else None,
        cluster=wanted.cluster,
        source=wanted.source or "",
        host_key=None if wanted.ssh_host_key is None else check_host_key(wanted.ssh_host_key),
    )
