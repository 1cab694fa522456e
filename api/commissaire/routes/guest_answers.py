"""Answers of operations inside machines: what a request gets that waits for one, or comes back for it."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool

from commissaire.clock import now
from commissaire.fleet.errors import Conflict, FleetError, NotFound
from commissaire.fleet.guests import ANSWER_KEPT, Given, answer_of, request_guest
from commissaire.machines.errors import GuestSilent, HypervisorFailed, TooLarge
from commissaire.records import TERMINAL, Operation, OperationHost, OperationKind, OperationState
from commissaire.requests import AUDIT_DETAIL
from commissaire.routes.guest_access import Guest
from commissaire.routes.outcome import wait_for
from commissaire.routes.v1.guest_bodies import AgentResult, CommandResult, GuestInfo, NetworkResult
from commissaire.routes.v1.operations import show
from commissaire.services import Services

NO_STORE = {"Cache-Control": "no-store"}
BINARY = "application/octet-stream"
_RETRY_SECONDS = "5"
_MISSING = re.compile(r"no such file|there is no file|is not there|is a directory|no regular file", re.IGNORECASE)
_GONE = re.compile(r"there is no such (machine|domain)", re.IGNORECASE)
_LARGE = re.compile(r"too large|too many for|larger than", re.IGNORECASE)
_SILENT = re.compile(
    r"does not answer|did not answer|no answer|timed out|not replied within|not taken|takes longer than", re.IGNORECASE
)
"""How the modules and libvirt say why."""
_PHASE = re.compile(r"\A[a-z_]+: ")


async def ask_guest(guest: Guest, kind: OperationKind, told: str, shown: dict[str, Any], given: Given) -> Response:
    """Ask for an operation in a machine, and return its answer, or 202 when it takes longer than is waited for.

    *told* is what the audit trail has of it, *shown* what its record has.

    Raises:
        FleetError: it can't be asked for, or failed.
        StoreUnavailable: what it is given can't be kept.
    """
    parts = guest.parts

    def record() -> int:
        with parts.database.write() as session:
            parameters = {**guest.where, **shown}
            operation = request_guest(session, parts.secrets, kind, guest.name, parameters, given, guest.asker)
            parts.dispatcher.enqueue(session, operation)
            return operation.id or 0

    place = guest.where.get("hypervisor", "(xenstore)")
    setattr(guest.request.state, AUDIT_DETAIL, f"{told} of machine {guest.name} on {place}")
    operation_id = await run_in_threadpool(record)
    setattr(guest.request.state, AUDIT_DETAIL, f"{told} of machine {guest.name} on {place}, operation {operation_id}")
    return await answer(parts, operation_id, guest.wait_seconds)


async def answer(parts: Services, operation_id: int, wait_seconds: float) -> Response:
    """Return the answer of an operation, or 202 when it has none after so long.

    Raises:
        FleetError: it failed, or its answer is not kept any more.
    """
    operation, row = await wait_for(parts, operation_id, wait_seconds)
    if operation.state not in TERMINAL:
        return await run_in_threadpool(_not_yet, parts, operation)

    def read() -> dict[str, Any] | None:
        with parts.database.read() as session:
            return answer_of(session, parts.secrets, operation)

    found = await run_in_threadpool(read)
    if found is None and operation.finished_at is not None and operation.finished_at < now() - ANSWER_KEPT:
        raise NotFound(f"the answer of operation {operation_id} is not kept any more; ask again")
    has_ended = found is not None and operation.kind == OperationKind.GUEST_COMMAND and "rc" in found
    if operation.state != OperationState.FINISHED and not has_ended:
        raise _failure(operation, row)
    if found is None and operation.kind != OperationKind.GUEST_PASSWORD:
        raise NotFound(f"the answer of operation {operation_id} is not kept any more; ask again")
    return _told(operation, found or {})


def etag(content: bytes) -> str:
    """Return the entity tag of a file."""
    return f'"{hashlib.sha256(content).hexdigest()}"'


def _not_yet(parts: Services, operation: Operation) -> Response:
    with parts.database.read() as session:
        shown = show(session, operation)
    place = f"/api/v1/guests/{operation.parameters['name']}/answers/{operation.id}"
    headers = {"Location": place, "Retry-After": _RETRY_SECONDS}
    return JSONResponse(shown.model_dump(mode="json"), status_code=202, headers=headers)


def _told(operation: Operation, found: dict[str, Any]) -> Response:
    """Return the answer of an operation that ended well, as its kind has it."""
    name, kind = operation.parameters["name"], operation.kind
    if kind == OperationKind.GUEST_INFO:
        fields = {key: value for key, value in found.items() if key in GuestInfo.model_fields and value is not None}
        known = {"agent": {}, **fields, "name": name, "hypervisor": operation.parameters.get("hypervisor")}
        try:
            return _json(GuestInfo.model_validate(known))
        except ValidationError as error:
            fields_wrong = ", ".join(sorted({str(one["loc"][0]) for one in error.errors()}))
            raise HypervisorFailed(f"the agent of machine {name} tells what is no {fields_wrong}") from error
    if kind == OperationKind.GUEST_FILE and operation.parameters.get("state") == "fetched":
        content = base64.b64decode(found.get("content", ""))
        return Response(content, media_type=BINARY, headers={**NO_STORE, "ETag": etag(content)})
    if kind == OperationKind.GUEST_FILE:
        return Response(status_code=201 if found.get("created") else 204)
    if kind == OperationKind.GUEST_PASSWORD:
        return Response(status_code=204)
    if kind == OperationKind.GUEST_COMMAND:
        said = {key: found.get(key) or "" for key in ("stdout", "stderr")}
        marks = {key: bool(found.get(key)) for key in ("truncated", "replaced")}
        return _json(CommandResult(rc=found["rc"], **said, **marks))
    changed = bool(found.get("changed"))
    if kind == OperationKind.GUEST_NETWORK:
        return _json(NetworkResult(changed=changed))
    version = found.get("version") or (found.get("agent") or {}).get("version")
    return _json(AgentResult(changed=changed, version=None if version is None else str(version)))


def _json(body: BaseModel) -> Response:
    return JSONResponse(body.model_dump(mode="json"), headers=NO_STORE)


def _failure(operation: Operation, row: OperationHost) -> FleetError:
    """Return why an operation failed, with the status that says whose fault that is."""
    why = _PHASE.sub("", row.message or operation.message or "it ended without a word")
    words = f"{why} (operation {operation.id})"
    if operation.state == OperationState.CANCELLED:
        return Conflict(words)
    if _GONE.search(why):
        return NotFound(words)
    if operation.kind == OperationKind.GUEST_FILE:
        fetched = operation.parameters.get("state") == "fetched"
        if fetched and _LARGE.search(why):
            return Conflict(
                f"file {operation.parameters['path']} is larger than guest_file_limit_mb allows; fetch it by other "
                f"means (operation {operation.id})"
            )
        if _LARGE.search(why):
            return TooLarge(words)
        if _MISSING.search(why) and "can't be reached" not in why:
            return NotFound(words) if fetched else Conflict(words)
    elif _LARGE.search(why):
        return TooLarge(words)
    return GuestSilent(words) if _SILENT.search(why) else HypervisorFailed(words)
