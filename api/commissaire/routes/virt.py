"""The REST of handler_virt: the machines of all hypervisors, and libvirt's functions on each, for their owners."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote, urlsplit

from fastapi import APIRouter, Depends, Query, Request, Response

from commissaire.auth.role import Role
from commissaire.auth.virt_mode import ANYONE, Caller
from commissaire.fleet.errors import Invalid, NotAllowed, NotFound, NotThisVerb
from commissaire.fleet.hypervisors import hypervisors_to_ask
from commissaire.machines.command import Arguments, Command, Result, find_command
from commissaire.machines.device import check_reach
from commissaire.machines.link import Link
from commissaire.machines.machine import Machine
from commissaire.machines.owned import find_owned, list_owned, owned_domain
from commissaire.problems import responses
from commissaire.requests import AUDIT_DETAIL
from commissaire.routes.text import Text
from commissaire.routes.virt_answer import XML, answer, prefers_json, xml_answer
from commissaire.services import Parts, Services

router = APIRouter(tags=["virt"])
NOBODY = "-"
"""The client that machines without an owner have."""
_FIELDS = 16
_FORM = "application/x-www-form-urlencoded"
_SHOWN: dict[int | str, dict[str, Any]] = {
    200: {"content": {XML: {"schema": {"type": "string"}}, "application/json": {"schema": {"type": "object"}}}}
}
_TEXT = {"schema": {"type": "string"}}
_PARAMETERS = {"schema": {"type": "object", "properties": {"xml": {"type": "string"}, "flags": {"type": "integer"}}}}
_CHANGING = {
    "x-role": Role.OPERATOR,
    "requestBody": {"content": {_FORM: _PARAMETERS, XML: _TEXT, "text/xml": _TEXT}},
}
Which = Annotated[str | None, Query(max_length=64, description="The hypervisor, where several have such a machine.")]
Flags = Annotated[int | None, Query(ge=0, le=2**31 - 1, description="libvirt's flags, added.")]
Port = Annotated[Text | None, Query(description="Of InterfaceStats: the interface's name, or its MAC address.")]
# the handlers declare the parameters of commands for the OpenAPI document and its checks; `Given` has them


async def _caller(request: Request, parts: Parts) -> Caller:
    return Caller(parts.settings.virt_mode, request.state.user, request.state.role)


async def _given(request: Request) -> dict[str, str]:
    """Return the parameters of a request, from its query and its body, each once."""
    found = [pair for pair in request.query_params.multi_items() if pair[0] != "hypervisor"]
    if request.method == "POST":
        _refuse_other_sites(request)
        found += _in_body(await request.body(), request.headers.get("content-type", ""))
    given = dict(found)
    if len(given) != len(found):
        raise Invalid("a parameter is given twice; give each once, in the query or in the body")
    return given


CallerOf = Annotated[Caller, Depends(_caller)]
Given = Annotated[dict[str, str], Depends(_given)]


@router.get("/virt", response_class=Response, responses=_SHOWN | responses(502))
def list_domains(request: Request, parts: Parts, caller: CallerOf) -> Response:
    """Return the machines that the caller may see, those of all hypervisors."""
    return _list(request, parts, caller, None)


@router.get("/virt.xsl", response_class=Response, responses={200: {"content": {"application/xslt+xml": _TEXT}}})
async def get_stylesheet() -> Response:
    """Return a stylesheet for the XML of /virt."""
    return Response(_stylesheet(), media_type="application/xslt+xml")


@router.get("/virt/{client}", response_class=Response, responses=_SHOWN | responses(404, 502))
def list_domains_of(client: str, request: Request, parts: Parts, caller: CallerOf) -> Response:
    """Return the machines of an owner; `-` is nobody."""
    if not caller.sees(_owner(client)):
        raise NotFound(f"there is no client {client}")
    return _list(request, parts, caller, _owner(client))


@router.get("/virt/{client}/{vm}", response_class=Response, responses=_SHOWN | responses(400, 404, 409, 502))
def get_domain(
    client: str, vm: str, request: Request, parts: Parts, caller: CallerOf, given: Given,
    hypervisor: Which = None, flags: Flags = None,
) -> Response:  # fmt: skip
    """Return a machine's XML: virDomainGetXMLDesc."""
    return _carry_out(request, parts, caller, client, vm, find_command("virDomainGetXMLDesc"), given, hypervisor)


@router.get(
    "/virt/{client}/{vm}/{command}",
    response_class=Response,
    responses=_SHOWN | responses(400, 404, 405, 409, 501, 502),
)
def read_domain(
    client: str, vm: str, command: str, request: Request, parts: Parts, caller: CallerOf, given: Given,
    hypervisor: Which = None, flags: Flags = None, path: Port = None, device: Port = None,
) -> Response:  # fmt: skip
    """Return what a function of libvirt's says of a machine."""
    return _carry_out(request, parts, caller, client, vm, find_command(command), given, hypervisor)


@router.post(
    "/virt/{client}/{vm}/{command}",
    response_class=Response,
    openapi_extra=_CHANGING,
    responses=_SHOWN | responses(400, 404, 405, 409, 501, 502),
)
def change_domain(
    client: str, vm: str, command: str, request: Request, parts: Parts, caller: CallerOf, given: Given,
    hypervisor: Which = None, flags: Flags = None,
) -> Response:  # fmt: skip
    """Call a function of libvirt's that changes a machine."""
    return _carry_out(request, parts, caller, client, vm, find_command(command), given, hypervisor)


def _list(request: Request, parts: Services, caller: Caller, owner: str | None) -> Response:
    machines, silent = list_owned(
        parts.hypervisors, _links(parts, caller, None), lambda of: caller.sees(of) and owner in (None, of)
    )
    content = {
        "domain": [_shown(machine) for machine in machines],
        "silent": [{"hypervisor": name, "reason": why} for name, why in sorted(silent.items())],
    }
    return answer(_accept(request), parts.settings.virt_stylesheet, "domains", content)


def _carry_out(
    request: Request,
    parts: Services,
    caller: Caller,
    client: str,
    vm: str,
    command: Command,
    given: dict[str, str],
    hypervisor: str | None,
) -> Response:
    """Find the machine, see that the caller may do that, and do it."""
    _check_method(request.method, command)
    arguments, owner = command.arguments(given), _owner(client)
    if not caller.sees(owner) or "\0" in vm:
        raise NotFound(f"there is no machine {vm}")
    link = find_owned(parts.hypervisors, _links(parts, caller, hypervisor), owner, vm)
    if (command.changes or command.reveals(arguments)) and not caller.changes(owner):
        raise NotAllowed(
            f"{command.name}{' with passwords' if command.reveals(arguments) else ''} changes or reveals something, "
            f"and in virt_mode {caller.mode} {request.state.user or 'nobody'} may not; ask the server's administrator"
        )
    if command.changes:
        _tell_audit(request, link, arguments)

    def act(connection: Any) -> Result:
        domain = owned_domain(connection, owner, vm)
        if domain is None:
            raise NotFound(f"there is no machine {vm} any more")
        if command.plugs and arguments.device is not None and not caller.unlimited:
            check_reach(arguments.device, domain, owner)
        return command(domain, arguments)

    result = link.call(act, rests=False)
    if "xml" in result and not prefers_json(_accept(request)):
        return xml_answer(parts.settings.virt_stylesheet, result["xml"])
    return answer(_accept(request), parts.settings.virt_stylesheet, command.name, result)


def _links(parts: Services, caller: Caller, hypervisor: str | None) -> list[Link]:
    """Return the connections to all hypervisors, or to the one that is asked for."""
    with parts.database.read() as session:
        known = hypervisors_to_ask(session)
    if hypervisor is not None and hypervisor not in known:
        raise NotFound(f"there is no hypervisor {hypervisor}")
    wanted = known if hypervisor is None else {hypervisor: known[hypervisor]}
    return [parts.hypervisors.link(name, uri, read_only=not caller.mode.changes) for name, uri in wanted.items()]


def _check_method(method: str, command: Command) -> None:
    fit, why = ("POST", "changes the machine") if command.changes else ("GET", "only reads")
    if method != fit:
        raise NotThisVerb(f"{command.name} {why}; send a {fit}", fit)


def _tell_audit(request: Request, link: Link, arguments: Arguments) -> None:
    device = f": {arguments.device}" if arguments.device else ""
    setattr(request.state, AUDIT_DETAIL, f"hypervisor {link.name}{device}")
    request.state.user = request.state.user or ANYONE


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


def _accept(request: Request) -> str:
    return ",".join(request.headers.getlist("accept"))


def _in_body(body: bytes, content_type: str) -> list[tuple[str, str]]:
    """Return the parameters in a body: a form, or the XML of a device."""
    try:
        text = body.decode().lstrip("\ufeff")
    except UnicodeDecodeError as error:
        raise Invalid(f"the body is no UTF-8: {error}") from error
    media_type = content_type.partition(";")[0].strip().lower()
    if not text.strip():
        return []
    if media_type in (XML, "text/xml") or text.lstrip().startswith("<"):  # curl calls everything a form
        return [("xml", text)]
    if media_type != _FORM:
        raise Invalid(f"send the parameters as {_FORM}, or a device's XML as {XML}")
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError as error:
        raise Invalid(f"the form has more than {_FIELDS} fields") from error


def _refuse_other_sites(request: Request) -> None:
    """Refuse what a page of another site lets a browser send, which adds the credentials that it has."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is None:  # a browser of before 2023, or none: a proxy may have changed `host`, so this comes second
        foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    else:
        foreign = site not in ("none", "same-origin")
    if foreign:
        raise NotAllowed("a page of another site sent this; nothing is changed by those")


@cache
def _stylesheet() -> bytes:
    return Path(__file__).with_name("virt.xsl").read_bytes()
