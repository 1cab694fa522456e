"""The REST of DataCentred's staging compute agent: its documented routes, and those of its released version."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator
from starlette.concurrency import run_in_threadpool

from commissaire.auth.role import Role
from commissaire.fleet.errors import Conflict, NotFound
from commissaire.fleet.hypervisors import usable_hypervisor
from commissaire.fleet.machines import (
    LOCATION_PATTERN,
    check_machine_name,
    check_network_name,
    request_machine,
    request_network,
)
from commissaire.fleet.operations import Requester
from commissaire.machines.errors import HypervisorFailed
from commissaire.machines.link import Link
from commissaire.machines.machine import Machine, find_domain, list_machines, read_machine
from commissaire.machines.network import VirtualNetwork, find_network, list_networks
from commissaire.machines.power import start
from commissaire.problems import responses
from commissaire.records import Operation, OperationHost, OperationHostState, OperationKind
from commissaire.routes.outcome import wait_for
from commissaire.routes.v0.json_route import JsonRoute
from commissaire.services import Asker, Parts, Services

router = APIRouter(tags=["compute agent"], route_class=JsonRoute)
_OPERATOR = {"x-role": Role.OPERATOR}
_ANSWER_SECONDS = 600.0
_CONSOLES = ["ttyS0,115200"]


class HostWanted(BaseModel):
    """POST of a host: a virtual machine. Other keys are let through, as the agent did."""

    model_config = ConfigDict(extra="ignore")

    memory: Annotated[StrictInt, Field(ge=1, le=64 * 1024 * 1024, description="In MiB.")]
    disks: Annotated[
        list[Annotated[StrictInt, Field(ge=1, le=1024 * 1024)]],
        Field(min_length=1, max_length=26, description="The sizes of its disks in GiB, sda first."),
    ]
    networks: Annotated[list[StrictStr], Field(max_length=64, description="The networks it has a port on.")]
    install: StrictBool = Field(default=False, description="Whether an operating system is installed from `location`.")
    location: StrictStr | None = Field(
        default=None, max_length=2048, pattern=LOCATION_PATTERN, description="The URL of the installer's tree."
    )
    cmdline: StrictStr | None = Field(default=None, max_length=2048, description="What the installer's kernel is told.")
    console: StrictBool = Field(
        default=False, description="Whether the installer shows itself on the serial console; nothing waits for that."
    )

    @model_validator(mode="after")
    def _has_location(self) -> HostWanted:
        if self.install and not self.location:
            raise ValueError("install is true, and location is missing: the URL of an installer's tree")
        return self

    def parameters(self) -> dict[str, Any]:
        """Return the variables of the role vm_create, without their prefix."""
        wanted: dict[str, Any] = {
            "memory_mb": self.memory,
            "disks_gb": self.disks,
            "networks": self.networks,
            "existing": "fail",
            "start": False,
            "until": "created",
        }
        if self.install:
            words = [self.cmdline or "", *(f"console={console}" for console in _CONSOLES if self.console)]
            wanted |= {"location": self.location, "kernel_args": " ".join(filter(None, words))}
        return wanted


class NetworkWanted(BaseModel):
    """POST of a network: ports of an Open vSwitch bridge, all with one tag."""

    model_config = ConfigDict(extra="ignore")

    bridge: Annotated[StrictStr, Field(min_length=1, max_length=15, pattern=r"^[A-Za-z0-9_.-]+$")]
    vlan: Annotated[StrictInt, Field(ge=1, le=4094)]


class HostShown(BaseModel):
    """A host, in the words of `virsh list`."""

    id: str = Field(description="Libvirt's id, `-` when it is off.")
    name: str
    state: str = Field(description="As virsh prints it: `running`, `shut off` …")

    @classmethod
    def of(cls, machine: Machine) -> HostShown:
        """Show a machine."""
        return cls(id="-" if machine.id is None else str(machine.id), name=machine.name, state=machine.state)


class NetworkShown(BaseModel):
    """A network, in the words of `virsh net-list`."""

    name: str
    state: str = Field(description="`active` or `inactive`.")
    autostart: str = Field(description="`yes` or `no`.")
    persistent: str = Field(description="`yes` or `no`.")

    @classmethod
    def of(cls, network: VirtualNetwork) -> NetworkShown:
        """Show a network."""
        words = {True: "yes", False: "no"}
        state = "active" if network.active else "inactive"
        return cls(
            name=network.name, state=state, autostart=words[network.autostart], persistent=words[network.persistent]
        )


@router.get("/hosts", responses=responses(502))
def list_hosts(parts: Parts) -> list[HostShown]:
    """Return the hypervisor's machines."""
    link = _link(parts)
    return [HostShown.of(machine) for machine in link.call(lambda connection: list_machines(connection, link.name))]


@router.get("/hosts/{hostname}", responses=responses(404, 502))
def get_host(hostname: str, parts: Parts) -> HostShown:
    """Return a machine."""
    return HostShown.of(_machine(parts, hostname))


@router.get("/host/{hostname}", status_code=204, response_class=Response, responses=responses(404, 502))
def probe_host(hostname: str, parts: Parts) -> Response:
    """Tell whether there is a machine of that name."""
    _machine(parts, hostname)
    return Response(status_code=204)


@router.post("/hosts/{hostname}", status_code=201, openapi_extra=_OPERATOR, responses=responses(400, 404, 409, 502))
async def create_host(hostname: str, body: HostWanted, parts: Parts, asker: Asker, response: Response) -> HostShown:
    """Create a machine; the answer comes when it is there and its installation has begun."""
    operation = await _made(parts, asker, hostname, body)
    response.headers["X-Commissaire-Operation"] = str(operation.id)
    return HostShown.of(await run_in_threadpool(_machine, parts, hostname))


@router.post("/host/{hostname}", status_code=201, openapi_extra=_OPERATOR, responses=responses(400, 404, 409, 502))
async def create_host_as_documented(
    hostname: str, body: HostWanted, parts: Parts, asker: Asker, response: Response
) -> HostShown:
    """Create a machine; the answer comes when it is there and its installation has begun."""
    return await create_host(hostname, body, parts, asker, response)


@router.delete(
    "/hosts/{hostname}",
    status_code=204,
    response_class=Response,
    openapi_extra=_OPERATOR,
    responses=responses(400, 404, 409, 502),
)
async def delete_host(hostname: str, parts: Parts, asker: Asker) -> Response:
    """Power a machine off, and remove it with its disks."""
    await run_in_threadpool(_machine, parts, hostname)

    def ask() -> int:
        with parts.database.write() as session:
            wanted = {"missing": "fail"}
            name = parts.settings.compute_agent_hypervisor
            operation = request_machine(session, OperationKind.VM_REMOVE, name, hostname, wanted, asker)
            parts.dispatcher.enqueue(session, operation)
            return operation.id or 0

    operation, row = await wait_for(parts, await run_in_threadpool(ask), _ANSWER_SECONDS)
    if row.data.get("missing"):
        raise NotFound(f"there is no machine {hostname} any more")
    _check(operation, row)
    return Response(status_code=204)


@router.put(
    "/hosts/{hostname}/start",
    status_code=204,
    response_class=Response,
    openapi_extra=_OPERATOR,
    responses=responses(404, 502),
)
def start_host(hostname: str, parts: Parts) -> Response:
    """Start a machine. One that runs already goes on."""
    if not _link(parts).call(lambda connection: start(connection, hostname)):
        raise NotFound(f"there is no machine {hostname}")
    return Response(status_code=204)


@router.get("/networks", responses=responses(502))
def list_all_networks(parts: Parts) -> list[NetworkShown]:
    """Return the hypervisor's networks."""
    return [NetworkShown.of(network) for network in _link(parts).call(list_networks)]


@router.get("/networks/{networkname}", responses=responses(404, 502))
def get_network(networkname: str, parts: Parts) -> NetworkShown:
    """Return a network."""
    return NetworkShown.of(_network(parts, networkname))


@router.get(
    "/host/{hostname}/network/{networkname}",
    status_code=204,
    response_class=Response,
    responses=responses(404, 502),
)
def probe_network(hostname: str, networkname: str, parts: Parts) -> Response:
    """Tell whether there is a network of that name; whose it is, its name tells."""
    _network(parts, networkname)
    return Response(status_code=204)


@router.post(
    "/networks/{networkname}", status_code=201, openapi_extra=_OPERATOR, responses=responses(400, 404, 409, 502)
)
async def create_network(networkname: str, body: NetworkWanted, parts: Parts, asker: Asker) -> NetworkShown:
    """Create a network."""
    wanted = {"mode": "openvswitch", "bridge": body.bridge, "vlan": body.vlan, "existing": "fail"}
    await _on_network(parts, asker, OperationKind.VM_NETWORK_CREATE, networkname, wanted)
    return NetworkShown.of(await run_in_threadpool(_network, parts, networkname))


@router.post(
    "/host/{hostname}/network/{networkname}",
    status_code=201,
    openapi_extra=_OPERATOR,
    responses=responses(400, 404, 409, 502),
)
async def create_network_as_documented(
    hostname: str, networkname: str, body: NetworkWanted, parts: Parts, asker: Asker
) -> NetworkShown:
    """Create a network."""
    check_machine_name(hostname)
    return await create_network(networkname, body, parts, asker)


@router.delete(
    "/networks/{networkname}",
    status_code=204,
    response_class=Response,
    openapi_extra=_OPERATOR,
    responses=responses(400, 404, 409, 502),
)
async def delete_network(networkname: str, parts: Parts, asker: Asker) -> Response:
    """Remove a network; the machines on it lose their ports' other end."""
    await run_in_threadpool(_network, parts, networkname)
    await _on_network(parts, asker, OperationKind.VM_NETWORK_REMOVE, networkname, {})
    return Response(status_code=204)


def _link(parts: Services) -> Link:
    with parts.database.read() as session:
        try:
            hypervisor = usable_hypervisor(session, parts.settings.compute_agent_hypervisor)
        except NotFound as error:
            raise HypervisorFailed(f"{error}; record it, or name another one by compute_agent_hypervisor") from error
    return parts.hypervisors.link(hypervisor.name, hypervisor.uri)


def _machine(parts: Services, hostname: str) -> Machine:
    link = _link(parts)

    def look(connection: Any) -> Machine | None:
        domain = find_domain(connection, hostname)
        return None if domain is None else read_machine(domain, link.name)

    machine = link.call(look)
    if machine is None:
        raise NotFound(f"there is no machine {hostname}")
    return machine


def _network(parts: Services, networkname: str) -> VirtualNetwork:
    network = _link(parts).call(lambda connection: find_network(connection, networkname))
    if network is None:
        raise NotFound(f"there is no network {networkname}")
    return network


async def _made(parts: Services, asker: Requester, hostname: str, body: HostWanted) -> Operation:
    name = check_machine_name(hostname)
    for network in body.networks:
        check_network_name(network)

    def ask() -> int:
        _check_hypervisor(parts)
        if _link(parts).call(lambda connection: find_domain(connection, name)) is not None:
            raise Conflict(f"machine {name} is there already; remove it first, or choose another name")
        with parts.database.write() as session:
            hypervisor = parts.settings.compute_agent_hypervisor
            operation = request_machine(session, OperationKind.VM_CREATE, hypervisor, name, body.parameters(), asker)
            parts.dispatcher.enqueue(session, operation)
            return operation.id or 0

    operation, row = await wait_for(parts, await run_in_threadpool(ask), _ANSWER_SECONDS)
    _check(operation, row)
    return operation


def _check_hypervisor(parts: Services) -> None:
    with parts.database.read() as session:
        usable_hypervisor(session, parts.settings.compute_agent_hypervisor)


async def _on_network(
    parts: Services, asker: Requester, kind: OperationKind, networkname: str, wanted: dict[str, Any]
) -> None:
    def ask() -> int:
        with parts.database.write() as session:
            hypervisor = parts.settings.compute_agent_hypervisor
            operation = request_network(session, kind, hypervisor, networkname, wanted, asker)
            parts.dispatcher.enqueue(session, operation)
            return operation.id or 0

    _check(*await wait_for(parts, await run_in_threadpool(ask), _ANSWER_SECONDS))


def _check(operation: Operation, row: OperationHost) -> None:
    """See that an operation came to a good end. Raise Conflict or HypervisorFailed where not."""
    if row.state == OperationHostState.FINISHED:
        return
    why = row.message or operation.message or "it has not ended yet"
    if row.data.get("exists"):
        raise Conflict(why)
    raise HypervisorFailed(f"{why} (operation {operation.id})")
