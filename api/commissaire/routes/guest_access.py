"""The way from a request to the inside of a machine: where it is, whose it is, and whether it can answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request

from commissaire.auth.authorisation import check_administrator
from commissaire.auth.role import Role
from commissaire.fleet.errors import Conflict, Invalid, NotAllowed, NotFound
from commissaire.fleet.machines import check_machine_name
from commissaire.fleet.operations import Requester
from commissaire.machines.errors import HypervisorFailed
from commissaire.machines.guest import GuestPort, read_port
from commissaire.machines.machine import OFF, find_domain
from commissaire.machines.owned import LOOK_SECONDS
from commissaire.routes.machine_access import links
from commissaire.routes.text import Text
from commissaire.services import Asker, Parts, Services

Wait = Annotated[
    float,
    Query(
        ge=0, le=600, allow_inf_nan=False, description="How long the answer is waited for; 202 when it takes longer."
    ),
]
Hypervisor = Annotated[Text | None, Query(description="Where the machine is; needed only when several have one.")]
Transport = Annotated[
    Literal["libvirt", "xenstore"],
    Query(description="By what its agent is reached. Administrators may say xenstore, of this server's own machine."),
]
Domid = Annotated[
    int | None, Query(ge=1, le=2**31 - 1, description="The Xen domain, instead of its name. Only with xenstore.")
]


@dataclass(frozen=True)
class Guest:
    """A machine whose inside a request is about. `where` is what its operations' records say of the way there."""

    request: Request
    parts: Services
    asker: Requester
    name: str
    where: dict[str, Any]
    port: GuestPort | None
    wait_seconds: float

    def check_change(self, what: str) -> None:
        """See that the caller may do *what* in it.

        Raises:
            NotAllowed: they are neither its owner, where owners may, nor an administrator.
        """
        role: Role | None = self.request.state.role
        if self.port is None or role is Role.ADMINISTRATOR:
            return
        if not self.parts.settings.virt_mode.changes:
            raise NotAllowed(
                f"{what} is for administrators, as virt_mode is {self.parts.settings.virt_mode}; ask one of them"
            )

    def check_dialect(self, what: str, *, is_wanted: bool = True) -> None:
        """See that what is wanted can be had by way of this transport at all.

        Raises:
            Invalid: it is *what* the agents of Xen hosts can't do.
        """
        if is_wanted and self.port is None:
            raise Invalid(f"by xenstore {what}; ask without it, or reach the machine by way of libvirt")

    def check_ready(self, *, needs_agent: bool = True) -> None:
        """See that it can answer at all, which its hypervisor knows at once.

        Raises:
            Conflict: it is off, or does not run.
            HypervisorFailed: it has no agent.
        """
        if self.port is None:
            return
        if self.port.state in OFF:
            raise Conflict(f"machine {self.name} is {self.port.state}; start it first (commctl vm start)")
        if self.port.state in ("paused", "pmsuspended"):
            raise Conflict(f"machine {self.name} is {self.port.state}; resume it first (commctl vm resume)")
        if needs_agent and self.port.port == "none":
            raise HypervisorFailed(
                f"machine {self.name} has no channel for a guest agent; give it a virtio channel "
                "org.qemu.guest_agent.0, as the module vm does, and install an agent in it"
            )
        if needs_agent and self.port.port == "disconnected":
            raise HypervisorFailed(
                f"no guest agent is connected in machine {self.name}; wait until it has booted, or install one in it "
                "(the role guest_agent, or the package qemu-guest-agent)"
            )


def _guest(
    vm: str,
    request: Request,
    parts: Parts,
    asker: Asker,
    hypervisor: Hypervisor = None,
    transport: Transport = "libvirt",
    domid: Domid = None,
    wait_seconds: Wait = 90,
) -> Guest:
    """Find the machine. Those of others are told of, for /api/v1/machines shows them, and not let in to."""
    name = check_machine_name(vm)
    if transport == "xenstore":
        check_administrator(request, "transport=xenstore")
        if hypervisor is not None:
            raise Invalid("xenstore is that of the server's own machine; leave hypervisor out")
        where = {"transport": "xenstore", **({} if domid is None else {"domid": domid})}
        return Guest(request, parts, asker, name, where, None, wait_seconds)
    if domid is not None:
        raise Invalid("domid is of xenstore's; say transport=xenstore, too, or leave it out")
    place, port = find_guest(parts, name, hypervisor)
    check_owner(request, name, port.owner)
    return Guest(request, parts, asker, name, {"hypervisor": place}, port, wait_seconds)


AtGuest = Annotated[Guest, Depends(_guest)]


def find_guest(parts: Services, name: str, hypervisor: str | None) -> tuple[str, GuestPort]:
    """Return which hypervisor has the machine called *name*, and what it tells of it.

    Raises:
        NotFound: none has it, or there is no such hypervisor.
        Conflict: several have one, or the hypervisor is not allowed.
        HypervisorFailed: none has it of those that answer, and some don't.
    """

    def look(_: Any, connection: Any) -> GuestPort | None:
        domain = find_domain(connection, name)
        return None if domain is None else read_port(domain)

    answers, silent = parts.hypervisors.ask_all(links(parts, hypervisor), look, seconds=LOOK_SECONDS)
    found = {place: port for place, port in answers.items() if port is not None}
    if len(found) > 1:
        raise Conflict(
            f"machine {name} is on hypervisors {' and '.join(sorted(found))}; say which with ?hypervisor=NAME"
        )
    if not found and silent:
        raise HypervisorFailed(f"no hypervisor that answers has machine {name}; {'; '.join(silent.values())}")
    if not found:
        raise NotFound(f"there is no machine {name}")
    return next(iter(found.items()))


def check_owner(request: Request, name: str, owner: str) -> None:
    """See that the caller owns a machine, or is an administrator.

    Raises:
        NotAllowed: neither.
    """
    if request.state.role is not Role.ADMINISTRATOR and (not owner or owner != request.state.user):
        raise NotAllowed(f"machine {name} is not {request.state.user}'s; ask its owner, or an administrator")
