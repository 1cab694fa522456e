"""REST v1: hypervisors."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from sqlmodel import Session

from commissaire.auth.role import Role
from commissaire.fleet.hypervisor_credentials import names_of_credentials
from commissaire.fleet.hypervisors import (
    NAME_PATTERN,
    delete_hypervisor,
    get_hypervisor,
    list_hypervisors,
    put_hypervisor,
)
from commissaire.fleet.machines import request_probe
from commissaire.machines.errors import HypervisorFailed
from commissaire.problems import responses
from commissaire.records import Hypervisor
from commissaire.requests import AUDIT_DETAIL
from commissaire.routes.v1.asking import Asking
from commissaire.routes.v1.bodies import OperationShown
from commissaire.routes.v1.hypervisor_bodies import HypervisorAsked, HypervisorList, HypervisorShown, HypervisorWanted
from commissaire.services import Parts, Services

router = APIRouter(prefix="/api/v1/hypervisors", tags=["hypervisors"])
_ASK_SECONDS = 5.0
Name = Annotated[str, Path(pattern=NAME_PATTERN)]


@router.get("")
def list_all(parts: Parts) -> HypervisorList:
    """Return all hypervisors, as they are recorded."""
    with parts.database.read() as session:
        hypervisors = list_hypervisors(session)
        credentials = names_of_credentials(session, [each.name for each in hypervisors])
        return HypervisorList(items=[HypervisorShown.of(each, credentials[each.name]) for each in hypervisors])


@router.get("/{name}", responses=responses(404))
def get(name: str, parts: Parts) -> HypervisorAsked:
    """Return a hypervisor, and ask it for its version."""
    with parts.database.read() as session:
        hypervisor = get_hypervisor(session, name)
        told = _shown(session, hypervisor).model_dump()
    try:
        versions = _ask(parts, hypervisor)
    except HypervisorFailed as error:
        return HypervisorAsked(**told, reachable=False, driver="", version="", libvirt_version="", failure=str(error))
    return HypervisorAsked(**told, reachable=True, **versions, failure="")


@router.put(
    "/{name}",
    responses={201: {"description": "It is new", "model": HypervisorShown}, **responses(400, 404)},
)
def put(name: Name, body: HypervisorWanted, request: Request, parts: Parts, response: Response) -> HypervisorShown:
    """Record a hypervisor, or change it."""
    given = None if body.credentials is None else body.credentials.credentials()
    with parts.database.write() as session:
        fields = body.model_dump(exclude={"credentials"})
        hypervisor, new = put_hypervisor(session, parts.secrets, name, **fields, credentials=given)
        session.flush()
        shown = _shown(session, hypervisor)
    if given is not None:
        setattr(request.state, AUDIT_DETAIL, f"credentials given: {', '.join(shown.credentials) or 'none any more'}")
    if given is not None or not shown.allowed:
        parts.hypervisors.forget(name)
    response.status_code = 201 if new else 200
    return shown


@router.delete("/{name}", status_code=204, responses=responses(404, 409))
def delete(name: str, parts: Parts) -> None:
    """Forget a hypervisor, and with what it was reached. Its machines go on."""
    with parts.database.write() as session:
        delete_hypervisor(session, parts.secrets, name)
    parts.hypervisors.forget(name)


@router.post("/{name}/probe", status_code=201, openapi_extra={"x-role": Role.OPERATOR}, responses=responses(404, 409))
def probe(name: str, asking: Asking) -> OperationShown:
    """Have it seen by what the hypervisor runs machines: an operation that starts a small guest."""
    return asking.ask(f"vm_probe of hypervisor {name}", lambda session: request_probe(session, name, asking.asker))


def _shown(session: Session, hypervisor: Hypervisor) -> HypervisorShown:
    return HypervisorShown.of(hypervisor, names_of_credentials(session, [hypervisor.name])[hypervisor.name])


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
