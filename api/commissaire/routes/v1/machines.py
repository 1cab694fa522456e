"""REST v1: virtual machines."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request

from commissaire.auth.authorisation import check_administrator
from commissaire.auth.role import Role
from commissaire.fleet.addresses import check_user
from commissaire.fleet.clusters import get_cluster
from commissaire.fleet.errors import Conflict
from commissaire.fleet.machines import check_machine_name, check_network_name, request_machine
from commissaire.fleet.new_hosts import REGISTER, login
from commissaire.machines.detail import read_detail
from commissaire.machines.machine import Machine, find_domain, list_machines, read_machine
from commissaire.machines.power import PowerAction, act
from commissaire.problems import responses
from commissaire.records import OperationKind
from commissaire.routes.machine_access import link_to, links, with_domain
from commissaire.routes.v1.asking import Asking
from commissaire.routes.v1.bodies import OperationShown
from commissaire.routes.v1.machine_bodies import MachineDetail, MachinePage, MachineShown, MachineWanted, Silent
from commissaire.services import Parts, Services

router = APIRouter(prefix="/api/v1/machines", tags=["machines"])
_OPERATOR = {"x-role": Role.OPERATOR}
_POWER_SECONDS = 30.0
State = Literal["no state", "running", "idle", "paused", "in shutdown", "shut off", "crashed", "pmsuspended"]


@router.get("", responses=responses(400, 404, 409))
def list_all(
    parts: Parts,
    hypervisor: str | None = None,
    owner: str | None = None,
    state: State | None = None,
    network: str | None = None,
    name: Annotated[str | None, Query(description="`*` and `?` are wildcards.")] = None,
    after: str = "",
    limit: Annotated[int, Query(ge=1, le=5000)] = 500,
) -> MachinePage:
    """Return the machines of all hypervisors, by name and hypervisor. `silent` tells of those that did not answer."""
    answers, silent = parts.hypervisors.ask_all(
        links(parts, hypervisor), lambda link, connection: list_machines(connection, link.name)
    )

    def wanted(machine: Machine) -> bool:
        return (
            (owner is None or machine.owner == owner)
            and (state is None or machine.state == state)
            and (network is None or network in machine.networks)
            and (name is None or fnmatchcase(machine.name, name))
        )

    everything = sorted((machine for found in answers.values() for machine in found if wanted(machine)), key=_place)
    begin = tuple(after.rpartition("/")[::2]) if after else ("", "")
    rest = [machine for machine in everything if _place(machine) > begin]
    following = "/".join(_place(rest[limit - 1])) if len(rest) > limit else None
    told = [Silent(hypervisor=name, reason=reason) for name, reason in sorted(silent.items())]
    return MachinePage(items=[MachineShown.of(machine) for machine in rest[:limit]], next=following, silent=told)


@router.get("/{hypervisor}/{name}", responses=responses(400, 404, 409, 502))
def get(hypervisor: str, name: str, parts: Parts) -> MachineDetail:
    """Return a machine with its addresses, disks, ports and snapshots."""
    detail = with_domain(parts, hypervisor, name, lambda domain: read_detail(domain, hypervisor))
    return MachineDetail.of_detail(detail)


@router.post(
    "/{hypervisor}/{name}",
    status_code=201,
    openapi_extra=_OPERATOR,
    responses=responses(400, 403, 404, 409, 502),
)
def create(
    hypervisor: str, name: str, body: MachineWanted, request: Request, parts: Parts, asking: Asking
) -> OperationShown:
    """Ask for a machine: an operation that creates it, and has it installed."""
    if body.image is not None:
        check_administrator(request, "image, a file of the server's,")
    check_machine_name(name)
    for network in body.networks:
        check_network_name(network)
    if link_to(parts, hypervisor).call(lambda connection: find_domain(connection, name)) is not None:
        raise Conflict(f"machine {name} is there already on hypervisor {hypervisor}; remove it, or take another name")
    wanted, key = body.parameters(), None
    if body.host is not None:
        user = check_user(body.host.remote_user or body.user or "root")
        _check_cluster(parts, body.host.cluster)
        wanted, key = login(wanted, user, body.host.ssh_priv_key)
        wanted[REGISTER] = {"cluster": body.host.cluster, "remote_user": user}
    return _ask(asking, OperationKind.VM_CREATE, hypervisor, name, wanted, key)


@router.delete(
    "/{hypervisor}/{name}", status_code=202, openapi_extra=_OPERATOR, responses=responses(400, 404, 409, 502)
)
def delete(
    hypervisor: str,
    name: str,
    parts: Parts,
    asking: Asking,
    keep_disks: Annotated[bool, Query(description="Only forget the machine; its disks stay in their pools.")] = False,
) -> OperationShown:
    """Ask for a machine's removal: an operation that powers it off, and removes it with its disks."""
    with_domain(parts, hypervisor, name, lambda domain: None)
    wanted = {"disks": not keep_disks, "missing": "fail"}
    return _ask(asking, OperationKind.VM_REMOVE, hypervisor, name, wanted)


@router.post("/{hypervisor}/{name}/{action}", openapi_extra=_OPERATOR, responses=responses(400, 404, 409, 502))
def power(hypervisor: str, name: str, action: PowerAction, parts: Parts) -> MachineShown:
    """Switch a machine on or off, restart, suspend or resume it. `shutdown` and `reboot` only ask it to."""

    def do(domain: Any) -> Machine:
        act(domain, action)
        return read_machine(domain, hypervisor)

    return MachineShown.of(with_domain(parts, hypervisor, name, do, seconds=_POWER_SECONDS, rests=False))


def _place(machine: Machine) -> tuple[str, str]:
    return machine.name, machine.hypervisor


def _check_cluster(parts: Services, name: str | None) -> None:
    if name is not None:
        with parts.database.read() as session:
            get_cluster(session, name)


def _ask(
    asking: Asking, kind: OperationKind, hypervisor: str, name: str, wanted: dict[str, Any], key: str | None = None
) -> OperationShown:
    store = asking.parts.secrets
    return asking.ask(
        f"{kind} of machine {name} on hypervisor {hypervisor}",
        lambda session: request_machine(session, kind, hypervisor, name, wanted, asking.asker, store=store, key=key),
    )
