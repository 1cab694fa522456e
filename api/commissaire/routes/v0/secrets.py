"""REST v0: `/api/v0/secrets`, Custodia's interface (CPD-101) on whichever store is configured.

It authenticates its clients itself, by API id and key, and knows nobody else.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Annotated, Any, Literal

import structlog
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, StrictStr, ValidationError
from starlette.concurrency import run_in_threadpool

from commissaire.auth.self_auth import SELF_AUTHENTICATING
from commissaire.fleet.errors import Invalid, NotAcceptable, Refused
from commissaire.problems import problem, responses
from commissaire.secrets.path import SecretPath, parse_path
from commissaire.secrets.tree import Caller
from commissaire.services import Parts

log = structlog.get_logger(__name__)
(PREFIX,) = SELF_AUTHENTICATING
_NO_STORE = {"Cache-Control": "no-store"}
_BINARY = "application/octet-stream"
_AUDITED: dict[str, Any] = {"x-audit": True, "x-role": "administrator"}  # the role counts without self_auths
_ID = APIKeyHeader(name="CUSTODIA_AUTH_ID", scheme_name="custodia_id", auto_error=False)
_KEY = APIKeyHeader(name="CUSTODIA_AUTH_KEY", scheme_name="custodia_key", auto_error=False)
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/SimpleSecret"}},
            _BINARY: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


class SimpleSecret(BaseModel):
    """Custodia's message of type `simple`, the only one."""

    type: Literal["simple"]
    value: StrictStr


async def _caller(
    request: Request,
    parts: Parts,
    api_id: Annotated[str | None, Depends(_ID)],
    key: Annotated[str | None, Depends(_KEY)],
) -> Caller:
    """Return who calls; the documents' sample has the key in a header CUSTODIA_KEY_ID."""
    caller = Caller(api_id or "", key or request.headers.get("custodia_key_id", ""))
    client = request.client.host if request.client else ""
    parts.key_throttle.check(client, "api_key_not_looked_at", "keys")
    try:
        await run_in_threadpool(parts.secret_tree.authenticate, caller)
    except Refused:
        with parts.key_throttle.refusal(client, caller.api_id[:64] if caller.key else "") as seconds:
            log.warning("api_key_refused", client=client, api_id=caller.api_id[:64], delay_seconds=seconds)
            await asyncio.sleep(seconds)
        raise
    request.state.user = f"api:{caller.api_id}"
    return caller


async def _path(request: Request) -> SecretPath:
    return parse_path(request.scope["raw_path"], PREFIX)


async def _value(request: Request, _: Annotated[Caller, Depends(_caller)]) -> str:
    body = await request.body()
    media = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media == _BINARY:
        return base64.b64encode(body).decode()
    if media != "application/json":
        raise Invalid(f"the body must be application/json or {_BINARY}, not {media or 'without a Content-Type'}")
    try:
        return SimpleSecret.model_validate_json(body).value
    except ValidationError as error:
        if [(each["type"], each["loc"]) for each in error.errors()] == [("literal_error", ("type",))]:
            raise NotAcceptable("type must be simple, the only type of message there is") from None
        raise Invalid('the body must look like {"type": "simple", "value": "…"}') from None


Authenticated = Annotated[Caller, Depends(_caller)]
Where = Annotated[SecretPath, Depends(_path)]
router = APIRouter(prefix=PREFIX, tags=["secrets"])


@router.get("", openapi_extra=_AUDITED, responses=responses(400), response_model=list[str])
@router.get(
    "/{path:path}", openapi_extra=_AUDITED, responses=responses(400, 404, 406), response_model=SimpleSecret | list[str]
)
def get_secret(request: Request, caller: Authenticated, where: Where, parts: Parts) -> Response:
    """Return a secret; of a container, whose path ends with a slash, the names in it."""
    if where.is_container:
        return JSONResponse(parts.secret_tree.list(caller, where), headers=_NO_STORE)
    value = parts.secret_tree.get(caller, where)
    accepted = {media.split(";")[0].strip() for media in request.headers.get("accept", "").split(",")}
    if _BINARY in accepted and "application/json" not in accepted:
        return Response(_decoded(value, where), media_type=_BINARY, headers=_NO_STORE)
    return JSONResponse({"type": "simple", "value": value}, headers=_NO_STORE)


@router.put("/{path:path}", status_code=201, openapi_extra=_BODY, responses=responses(400, 404, 405, 406, 409))
def put_secret(caller: Authenticated, where: Where, value: Annotated[str, Depends(_value)], parts: Parts) -> Response:
    """Keep a new secret in a container that exists. One that exists is never overwritten: delete it first."""
    if where.is_container:
        return problem(405, "a container has no value; POST makes one", headers={"Allow": "GET, POST, DELETE"})
    parts.secret_tree.put(caller, where, value)
    return Response(status_code=201)


@router.post(
    "/{path:path}", status_code=201, responses={200: {"description": "It existed."}, **responses(400, 404, 405)}
)
def make_container(caller: Authenticated, where: Where, parts: Parts) -> Response:
    """Make a container; its path ends with a slash."""
    if not where.is_container:
        detail = "POST makes containers, whose paths end with a slash; PUT keeps secrets"
        return problem(405, detail, headers={"Allow": "GET, PUT, DELETE"})
    return Response(status_code=201 if parts.secret_tree.make(caller, where) else 200)


@router.delete("/{path:path}", status_code=204, responses=responses(400, 404, 405, 409))
def delete_secret(caller: Authenticated, where: Where, parts: Parts) -> Response:
    """Forget a secret, or a container that is empty."""
    if not where.names:
        return problem(405, "the root can't be deleted", headers={"Allow": "GET, POST"})
    parts.secret_tree.delete(caller, where)
    return Response(status_code=204)


def _decoded(value: str, where: SecretPath) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise NotAcceptable(f"secret {where} is no base64 of bytes; ask for application/json") from None
