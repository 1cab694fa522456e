"""REST v1: hypervisors."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from commissaire.fleet.hypervisors import (
    NAME_PATTERN,
    delete_hypervisor,
    get_hypervisor,
    list_hypervisors,
    put_hypervisor,
)
from commissaire.machines.errors import HypervisorFailed
from commissaire.problems import responses
from commissaire.records import Hypervisor
from commissaire.routes.v1.machine_bodies import HypervisorAsked, HypervisorList, HypervisorShown, HypervisorWanted
from commissaire.services import Parts, Services

router = APIRouter(prefix="/api/v1/hypervisors", tags=["hypervisors"])
_ASK_SECONDS = 5.0
Name = Annotated[str, Path(pattern=NAME_PATTERN)]


@router.get("")
def list_all(parts: Parts) -> HypervisorList:
    """Return all hypervisors, as they are recorded."""
    with parts.database.read() as session:
        return HypervisorList(items=[HypervisorShown.of(each) for each in list_hypervisors(session)])


@router.get("/{name}", responses=responses(404))
def get(name: str, parts: Parts) -> HypervisorAsked:
    """Return a hypervisor, and ask it for its version."""
    with parts.database.read() as session:
        hypervisor = get_hypervisor(session, name)
        told = HypervisorShown.of(hypervisor).model_dump()
    try:
        versions = _ask(parts, hypervisor)
    except HypervisorFailed as error:
        return HypervisorAsked(**told, reachable=False, driver="", version="", libvirt_version="", failure=str(error))
    return HypervisorAsked(**told, reachable=True, **versions, failure="")


@router.put(
    "/{name}",
    responses={201: {"description": "It is new", "model": HypervisorShown}, **responses(400, 404)},
)
def put(name: Name, body: HypervisorWanted, parts: Parts, response: Response) -> HypervisorShown:
    """Record a hypervisor, or change it."""
    with parts.database.write() as session:
        hypervisor, new = put_hypervisor(session, name, **body.model_dump())
        shown = HypervisorShown.of(hypervisor)
    if not shown.allowed:
        parts.hypervisors.forget(name)
    response.status_code = 201 if new else 200
    return shown


@router.delete("/{name}", status_code=204, responses=responses(404, 409))
def delete(name: str, parts: Parts) -> None:
    """Forget a hypervisor. Its machines go on."""
    with parts.database.write() as session:
        delete_hypervisor(session, name)
    parts.hypervisors.forget(name)


def _ask(parts: Services, hypervisor: Hypervisor) -> dict[str, str]:
    if not hypervisor.allowed:
        raise HypervisorFailed(f"hypervisor {hypervisor.name} is not asked, for it is not allowed")
    link = parts.hypervisors.link(hypervisor.name, hypervisor.uri)

    def ask(connection: Any) -> dict[str, str]:
        return {
            "driver": connection.getType(),
            "version": _dotted(connection.getVersion()),
            "libvirt_version": _dotted(connection.getLibVersion()),
        }

    return link.call(ask, seconds=_ASK_SECONDS)


def _dotted(version: int) -> str:
    return f"{version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}"
