"""REST v1: networks of virtual machines."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from commissaire.auth.role import Role
from commissaire.fleet.errors import Conflict, NotFound
from commissaire.fleet.machines import check_network_name, request_network
from commissaire.machines.network import find_network, list_networks
from commissaire.problems import responses
from commissaire.records import OperationKind
from commissaire.routes.machine_access import link_to, links
from commissaire.routes.v1.asking import Asking
from commissaire.routes.v1.bodies import OperationShown
from commissaire.routes.v1.machine_bodies import Silent
from commissaire.routes.v1.vm_network_bodies import VmNetworkList, VmNetworkShown, VmNetworkWanted
from commissaire.services import Parts, Services

router = APIRouter(prefix="/api/v1/vm-networks", tags=["machines"])
_OPERATOR = {"x-role": Role.OPERATOR}


@router.get("", responses=responses(400, 404, 409))
def list_all(parts: Parts, hypervisor: str | None = None) -> VmNetworkList:
    """Return the networks of all hypervisors, by name and hypervisor. `silent` tells who did not answer."""
    answers, silent = parts.hypervisors.ask_all(
        links(parts, hypervisor), lambda link, connection: list_networks(connection)
    )
    found = [VmNetworkShown.of(where, network) for where, networks in answers.items() for network in networks]
    told = [Silent(hypervisor=name, reason=reason) for name, reason in sorted(silent.items())]
    return VmNetworkList(items=sorted(found, key=lambda network: (network.name, network.hypervisor)), silent=told)


@router.post("/{hypervisor}/{name}", status_code=201, openapi_extra=_OPERATOR, responses=responses(400, 404, 409, 502))
def create(hypervisor: str, name: str, body: VmNetworkWanted, parts: Parts, asking: Asking) -> OperationShown:
    """Ask for a network: an operation that makes it."""
    if _is_there(parts, hypervisor, name):
        raise Conflict(f"network {name} is there already on hypervisor {hypervisor}; remove it, or take another name")
    kind = OperationKind.VM_NETWORK_CREATE
    return _ask(asking, kind, hypervisor, name, body.parameters())


@router.delete(
    "/{hypervisor}/{name}", status_code=202, openapi_extra=_OPERATOR, responses=responses(400, 404, 409, 502)
)
def delete(hypervisor: str, name: str, parts: Parts, asking: Asking) -> OperationShown:
    """Ask for a network's removal. Machines on it lose their ports' other end."""
    if not _is_there(parts, hypervisor, name):
        raise NotFound(f"there is no network {name} on hypervisor {hypervisor}")
    kind = OperationKind.VM_NETWORK_REMOVE
    return _ask(asking, kind, hypervisor, name, {"missing": "fail"})


def _is_there(parts: Services, hypervisor: str, name: str) -> bool:
    check_network_name(name)
    return link_to(parts, hypervisor).call(lambda connection: find_network(connection, name)) is not None


def _ask(asking: Asking, kind: OperationKind, hypervisor: str, name: str, wanted: dict[str, Any]) -> OperationShown:
    return asking.ask(
        f"{kind} of network {name} on hypervisor {hypervisor}",
        lambda session: request_network(session, kind, hypervisor, name, wanted, asking.asker),
    )
