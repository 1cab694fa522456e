"""REST v0: hosts."""

from __future__ import annotations

import orjson
from fastapi import APIRouter, Response
from sqlmodel import col, select

from commissaire.clock import naive_iso
from commissaire.fleet import hosts
from commissaire.fleet.addresses import check_address, check_host_key, check_user
from commissaire.fleet.errors import NotFound
from commissaire.fleet.hosts import HostRequest
from commissaire.fleet.keys import check_encoded_key
from commissaire.fleet.operations import request_bootstrap
from commissaire.problems import responses
from commissaire.records import Host
from commissaire.routes.v0.bodies import (
    HostShown,
    HostStatusOfHost,
    HostStatusShown,
    HostWanted,
    check_repeated,
    host_fields,
)
from commissaire.services import Asker, Parts

router = APIRouter(tags=["hosts"])


@router.get("/hosts", response_model=list[HostShown])
def list_hosts(parts: Parts) -> Response:
    """Return all host records."""
    table = Host.__table__  # type: ignore[attr-defined]
    shown = ("address", "status", "os", "cpus", "memory_kb", "space_bytes", "last_check", "source")
    with parts.database.read() as session:
        rows = session.connection().execute(
            select(*(table.c[name] for name in shown)).order_by(col(Host.id))  # rows, not records: thousands of them
        )
        return Response(orjson.dumps([host_fields(row) for row in rows]), media_type="application/json")


@router.get("/host/{address}", responses=responses(404))
def get_host(address: str, parts: Parts) -> HostShown:
    """Return a host record."""
    with parts.database.read() as session:
        return HostShown.of(hosts.get_host(session, check_address(address)))


@router.put("/host/{address}", status_code=201, responses=responses(400, 404, 409))
def put_host(address: str, parts: Parts, asker: Asker, body: HostWanted | None = None) -> HostShown:
    """Record a host; it is investigated and bootstrapped in the background. The same again changes nothing."""
    wanted = _checked(address, body or HostWanted())
    with parts.database.write() as session:
        host, new = hosts.put_host(session, parts.vault, wanted)
        if new:
            parts.dispatcher.enqueue(session, request_bootstrap(session, host, asker))
        return HostShown.of(host)


@router.delete("/host/{address}", responses=responses(404, 409))
def delete_host(address: str, parts: Parts) -> list[str]:
    """Forget a host, its key and its membership."""
    with parts.database.write() as session:
        hosts.delete_host(session, check_address(address))
    return []


@router.get("/host/{address}/status", responses=responses(404))
def get_host_status(address: str, parts: Parts) -> HostStatusShown:
    """Return a host's status."""
    with parts.database.read() as session:
        host = hosts.get_host(session, check_address(address))
        return HostStatusShown(
            type="host_only",
            host=HostStatusOfHost(last_check=naive_iso(host.last_check) or "", status=host.status),
            container_manager={},
        )


def _checked(in_url: str, wanted: HostWanted) -> HostRequest:
    address = check_address(in_url)
    check_repeated("address", wanted.address and _canonical(wanted.address), address)
    return HostRequest(
        address=address,
        ssh_priv_key=None if wanted.ssh_priv_key is None else check_encoded_key(wanted.ssh_priv_key),
        remote_user=check_user(wanted.remote_user or "root"),
        cluster=wanted.cluster,
        source=wanted.source or "",
        host_key=None if wanted.ssh_host_key is None else check_host_key(wanted.ssh_host_key),
    )


def _canonical(address: str) -> str:
    try:
        return check_address(address)
    except NotFound:
        return address
