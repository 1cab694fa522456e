"""REST v1: the insides of virtual machines, by way of their guest agents."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from commissaire.auth.role import Role
from commissaire.fleet.errors import Invalid, NotAllowed, NotFound
from commissaire.fleet.guests import Given
from commissaire.launcher.guest_plan import FETCHED
from commissaire.problems import responses
from commissaire.records import OF_GUESTS, Operation, OperationKind
from commissaire.requests import AUDIT_DETAIL
from commissaire.routes.guest_access import AtGuest, Guest, Wait
from commissaire.routes.guest_answers import BINARY, answer, ask_guest, etag
from commissaire.routes.guest_path import GuestPath
from commissaire.routes.text import Text
from commissaire.routes.v1.bodies import OperationShown
from commissaire.routes.v1.guest_bodies import (
    AgentResult,
    AgentWanted,
    CommandResult,
    CommandWanted,
    GuestInfo,
    NetworkResult,
    NetworkWanted,
    PasswordWanted,
)
from commissaire.routes.v1.operations import find
from commissaire.services import Parts

router = APIRouter(prefix="/api/v1/guests/{vm}", tags=["guests"])
_OPERATOR = {"x-role": Role.OPERATOR}
_CHANGING: dict[int | str, dict[str, Any]] = {
    202: {"model": OperationShown, "description": "It takes longer; Location has the answer once there is one."},
    **responses(400, 404, 409, 502, 504),
}
_NOTHING: dict[int | str, dict[str, Any]] = {204: {"description": "Done", "content": None}}
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": {BINARY: _BYTES}},
    304: {"description": "It is still as If-None-Match says."},
}
_ID = Annotated[Text, Query(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]


@router.get("/info", response_model=GuestInfo, responses=_CHANGING)
async def get_info(guest: AtGuest) -> Response:
    """Return what a machine's agent tells of the machine and of itself. For its owner and administrators."""
    guest.check_ready()
    return await ask_guest(guest, OperationKind.GUEST_INFO, "info", {}, _given(guest))


@router.get(
    "/files",
    response_class=Response,
    openapi_extra={**_OPERATOR, "x-audit": True},
    responses={**_FILE, **_CHANGING},
)
async def get_file(guest: AtGuest, path: GuestPath) -> Response:
    """Return a file of a machine's, with its SHA-256 as its ETag."""
    guest.check_change("reading files")
    guest.check_dialect("no file can be read")
    guest.check_ready()
    most = guest.parts.settings.guest_file_limit_bytes
    told = f"file {path}"
    response = await ask_guest(
        guest, OperationKind.GUEST_FILE, told, {"state": FETCHED, "path": path}, _given(guest, most_bytes=most)
    )
    if response.status_code == 200 and response.headers["ETag"] in guest.request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"ETag": response.headers["ETag"]})
    return response


@router.put(
    "/files",
    status_code=201,
    response_class=Response,
    openapi_extra={**_OPERATOR, "requestBody": {"required": True, "content": {BINARY: _BYTES}}},
    responses={204: {"description": "It was there, and is as asked for."}, **_CHANGING},
)
async def put_file(
    guest: AtGuest,
    path: GuestPath,
    mode: Annotated[str | None, Query(pattern="^0?[0-7]{3,4}$", description="Octal, such as 0640.")] = None,
    owner: _ID | None = None,
    group: _ID | None = None,
) -> Response:
    """Write a file of a machine's: the body. 201 when it is new, 204 when it was there."""
    guest.check_change("writing files")
    guest.check_ready()
    guest.check_dialect("no mode, owner or group can be set", is_wanted=bool(mode or owner or group))
    _check_media_type(guest.request)
    content = await guest.request.body()
    shown = {"state": "present", "path": path, "mode": mode, "owner": owner, "group": group, "bytes": len(content)}
    response = await ask_guest(
        guest,
        OperationKind.GUEST_FILE,
        f"file {path}, {len(content)} bytes,",
        {key: value for key, value in shown.items() if value is not None},
        _given(guest, content=base64.b64encode(content).decode()),
    )
    if response.status_code in (201, 204):
        response.headers["ETag"] = etag(content)
    return response


@router.put("/password", status_code=204, response_class=Response, openapi_extra=_OPERATOR, responses=_CHANGING)
async def put_password(guest: AtGuest, body: PasswordWanted) -> Response:
    """Give a user of a machine's a password. It is kept nowhere else."""
    guest.check_change("setting passwords")
    guest.check_ready()
    guest.check_dialect("only root's password can be set, and no hash", is_wanted=body.user != "root" or body.crypted)
    given = _given(guest, password=body.password)
    shown = {"user": body.user, "crypted": body.crypted}
    return await ask_guest(guest, OperationKind.GUEST_PASSWORD, f"password of user {body.user}", shown, given)


@router.post("/network", response_model=NetworkResult, openapi_extra=_OPERATOR, responses=_CHANGING)
async def post_network(guest: AtGuest, body: NetworkWanted) -> Response:
    """Give a machine its name, and addresses and routes to its interfaces."""
    guest.check_change("setting networks")
    guest.check_ready()
    return await ask_guest(guest, OperationKind.GUEST_NETWORK, "network", body.variables(), _given(guest))


@router.post("/command", response_model=CommandResult, openapi_extra=_OPERATOR, responses=_CHANGING)
async def post_command(guest: AtGuest, body: CommandWanted) -> Response:
    """Run a command in a machine, as its agent's user, and return its exit code and what it printed."""
    guest.check_change("running commands")
    guest.check_dialect("no command can be run")
    guest.check_ready()
    program = body.argv[0][:200] if body.argv[0].isprintable() else "(unprintable)"
    wanted = body.model_dump(exclude_none=True, exclude={"timeout_seconds"})
    given = _given(guest, **{key: value for key, value in wanted.items() if value != {}})
    shown = {"program": program, "timeout": body.timeout_seconds}
    return await ask_guest(guest, OperationKind.GUEST_COMMAND, f"command {program}", shown, given)


@router.post("/agent", response_model=AgentResult, openapi_extra=_OPERATOR, responses=_CHANGING)
async def post_agent(guest: AtGuest, body: AgentWanted) -> Response:
    """Have a machine's agent replace itself, or install ours by way of the agent that is there."""
    guest.check_change("changing agents")
    guest.check_ready()
    if body.action == "update":
        if guest.port is None and body.url is None:
            raise Invalid("by xenstore no program is sent; give the url of one, which the machine fetches")
        shown = body.model_dump(include={"url", "md5", "sha256", "version", "signature"}, exclude_none=True)
        return await ask_guest(guest, OperationKind.GUEST_AGENT_UPDATE, "agent update", shown, _given(guest))
    if guest.port is None:
        raise Invalid("an agent is installed by way of libvirt, not of xenstore")
    shown = body.model_dump(include={"functions", "replace_qemu"}, exclude_defaults=True)
    return await ask_guest(guest, OperationKind.GUEST_AGENT, "agent installation", shown, _given(guest))


@router.get(
    "/answers/{operation_id}",
    openapi_extra={"x-audit": True},
    response_model=GuestInfo | CommandResult | NetworkResult | AgentResult,
    responses={
        200: {"description": "What the request would have answered", "content": {BINARY: _BYTES}},
        204: {"description": "It is done."},
        **_CHANGING,
    },
)
async def get_answer(vm: str, operation_id: int, request: Request, parts: Parts, wait_seconds: Wait = 0) -> Response:
    """Return the answer that a request did not wait for, to who asked, or to administrators; for 15 minutes."""
    role: Role = request.state.role

    def read() -> Operation:
        with parts.database.read() as session:
            return find(session, operation_id)

    operation = await run_in_threadpool(read)
    if operation.kind not in OF_GUESTS or operation.parameters.get("name") != vm:
        raise NotFound(f"there is no operation {operation_id} in machine {vm}")
    _check_asker(request, role, operation)
    setattr(request.state, AUDIT_DETAIL, f"answer of operation {operation_id} ({operation.kind})")
    response = await answer(parts, operation_id, wait_seconds)
    if response.status_code == 201:  # it was made by the request that asked for it
        response.status_code = 204
    return response


def _check_asker(request: Request, role: Role, operation: Operation) -> None:
    reads = operation.kind == OperationKind.GUEST_INFO
    is_theirs = operation.requested_by == request.state.user and (reads or role.may(Role.OPERATOR))
    if role is not Role.ADMINISTRATOR and not is_theirs:
        raise NotAllowed(
            f"operation {operation.id} was asked for by {operation.requested_by}; its answer is for them and for "
            "administrators"
        )


def _given(guest: Guest, *, content: str | None = None, most_bytes: int = 0, **variables: Any) -> Given:
    socket = guest.parts.settings.xenstore_socket
    if guest.port is None and socket:
        variables["socket"] = socket
    if guest.port is not None and guest.port.uuid:  # another may have its name when it is this one's turn
        variables["uuid"] = guest.port.uuid
    return Given(variables, content, most_bytes)


def _check_media_type(request: Request) -> None:
    media = request.headers.get("content-type", BINARY).partition(";")[0].strip().lower()
    if media != BINARY:
        raise Invalid(f"the body is the file as it is; send it as {BINARY}, not as {media}")
