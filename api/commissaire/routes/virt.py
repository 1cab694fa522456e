"""The REST of handler_virt: the machines of all hypervisors, and libvirt's functions on each, for their owners."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Response

from commissaire.auth.role import Role
from commissaire.auth.virt_mode import ANYONE
from commissaire.fleet.errors import NotAllowed, NotFound, NotThisVerb
from commissaire.machines.command import Arguments, Command, Result, find_command
from commissaire.machines.device import check_reach
from commissaire.machines.link import Link
from commissaire.machines.machine import Machine
from commissaire.machines.owned import find_owned, list_owned, owned_domain
from commissaire.problems import responses
from commissaire.requests import AUDIT_DETAIL
from commissaire.routes.text import Text
from commissaire.routes.virt_answer import answer
from commissaire.routes.virt_request import FORM, XML, Asked, Asking

router = APIRouter(tags=["virt"])
NOBODY = "-"
"""The client that machines without an owner have."""
_TEXT = {"schema": {"type": "string"}}
_PARAMETERS = {"schema": {"type": "object", "properties": {"xml": {"type": "string"}, "flags": {"type": "integer"}}}}
_CHANGING = {
    "x-role": Role.OPERATOR,
    "requestBody": {"content": {FORM: _PARAMETERS, **dict.fromkeys(XML, _TEXT)}},
}
_SHOWN: dict[int | str, dict[str, Any]] = {
    200: {"content": {XML[0]: _TEXT, "application/json": {"schema": {"type": "object"}}}}
}
# the handlers declare the parameters of commands for the OpenAPI document and its checks; `Asked` has them
Flags = Annotated[int | None, Query(ge=0, le=2**31 - 1, description="libvirt's flags, added.")]
Port = Annotated[Text | None, Query(description="Of InterfaceStats: the interface's name, or its MAC address.")]


@router.get("/virt", response_class=Response, responses=_SHOWN | responses(400, 404, 502))
def list_domains(asked: Asking) -> Response:
    """Return the machines that the caller may see, those of all hypervisors."""
    return _list(asked, None)


@router.get("/virt.xsl", response_class=Response, responses={200: {"content": {"application/xslt+xml": _TEXT}}})
async def get_stylesheet() -> Response:
    """Return a stylesheet for the XML of /virt."""
    return Response(_stylesheet(), media_type="application/xslt+xml")


@router.get("/virt/{client}", response_class=Response, responses=_SHOWN | responses(400, 404, 502))
def list_domains_of(client: str, asked: Asking) -> Response:
    """Return the machines of an owner; `-` is nobody."""
    if not asked.caller.sees(_owner(client)):
        raise NotFound(f"there is no client {client}")
    return _list(asked, _owner(client))


@router.get("/virt/{client}/{vm}", response_class=Response, responses=_SHOWN | responses(400, 404, 409, 502))
def get_domain(client: str, vm: str, asked: Asking, flags: Flags = None) -> Response:
    """Return a machine's XML: virDomainGetXMLDesc."""
    return _carry_out(asked, client, vm, find_command("virDomainGetXMLDesc"))


@router.get(
    "/virt/{client}/{vm}/{command}",
    response_class=Response,
    responses=_SHOWN | responses(400, 404, 405, 409, 501, 502),
)
def read_domain(
    client: str, vm: str, command: str, asked: Asking, flags: Flags = None, path: Port = None, device: Port = None
) -> Response:
    """Return what a function of libvirt's says of a machine."""
    return _carry_out(asked, client, vm, find_command(command))


@router.post(
    "/virt/{client}/{vm}/{command}",
    response_class=Response,
    openapi_extra=_CHANGING,
    responses=_SHOWN | responses(400, 404, 405, 409, 501, 502),
)
def change_domain(client: str, vm: str, command: str, asked: Asking, flags: Flags = None) -> Response:
    """Call a function of libvirt's that changes a machine."""
    return _carry_out(asked, client, vm, find_command(command))


def _list(asked: Asked, owner: str | None) -> Response:
    def wanted(of: str) -> bool:
        return asked.caller.sees(of) and owner in (None, of)

    machines, silent = list_owned(asked.parts.hypervisors, asked.links(), wanted)
    content = {
        "domain": [_shown(machine) for machine in machines],
        "silent": [{"hypervisor": name, "reason": why} for name, why in sorted(silent.items())],
    }
    return answer(asked.request, asked.parts.settings.virt_stylesheet, "domains", content)


def _carry_out(asked: Asked, client: str, vm: str, command: Command) -> Response:
    """Find the machine, see that the caller may do that, and do it."""
    _check_method(asked.request.method, command)
    arguments, owner = command.arguments(asked.given), _owner(client)
    if not asked.caller.sees(owner):
        raise NotFound(f"there is no machine {vm}")
    link = find_owned(asked.parts.hypervisors, asked.links(), owner, vm)
    _check_right(asked, command, arguments, owner)
    if command.changes:
        _tell_audit(asked, link, arguments)

    def act(connection: Any) -> Result:
        domain = owned_domain(connection, owner, vm)
        if domain is None:
            raise NotFound(f"there is no machine {vm} any more")
        if command.plugs and arguments.device is not None and not asked.caller.unlimited:
            check_reach(arguments.device, domain, owner)
        return command(domain, arguments)

    result = link.call(act, rests=False)
    return answer(asked.request, asked.parts.settings.virt_stylesheet, command.name, result)


def _check_method(method: str, command: Command) -> None:
    fit, why = ("POST", "changes the machine") if command.changes else ("GET", "only reads")
    if method != fit:
        raise NotThisVerb(f"{command.name} {why}; send a {fit}", fit)


def _check_right(asked: Asked, command: Command, arguments: Arguments, owner: str) -> None:
    if not command.changes and not command.reveals(arguments):
        return
    if not asked.caller.changes(owner):
        what = "changes the machine" if command.changes else "shows its passwords"
        raise NotAllowed(
            f"{command.name} {what}, and {asked.caller.name or 'nobody'} may not in virt_mode {asked.caller.mode}; "
            "ask the server's administrator"
        )


def _tell_audit(asked: Asked, link: Link, arguments: Arguments) -> None:
    state, device = asked.request.state, f": {arguments.device}" if arguments.device else ""
    setattr(state, AUDIT_DETAIL, f"hypervisor {link.name}{device}")
    state.user = state.user or ANYONE


def _shown(machine: Machine) -> dict[str, Any]:
    return {
        "id": -1 if machine.id is None else machine.id,
        "name": machine.name,
        "uuid": machine.uuid,
        "owner": machine.owner,
        "hypervisor": machine.hypervisor,
        "state": machine.state,
        "memory": machine.memory_kb,
        "vcpu": machine.vcpus,
        "href": f"/virt/{quote(machine.owner or NOBODY, safe='')}/{quote(machine.name, safe='')}",
    }


def _owner(client: str) -> str:
    return "" if client == NOBODY else client


@cache
def _stylesheet() -> bytes:
    return Path(__file__).with_name("virt.xsl").read_bytes()
