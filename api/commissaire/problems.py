"""Errors as answers: RFC 9457 problem documents that name the thing, the cause and the next step."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from commissaire.fleet.errors import FleetError, NotThisVerb
from commissaire.secrets.errors import SecretError, StoreUnavailable

MEDIA_TYPE = "application/problem+json"
log = structlog.get_logger(__name__)
_METHODS = ("GET", "PUT", "POST", "DELETE")


class InvalidInput(BaseModel):
    """One thing that is wrong with a request."""

    location: str
    message: str


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[InvalidInput] | None = None


class ProblemResponse(JSONResponse):
    """A problem document with its own media type."""

    media_type = MEDIA_TYPE


def problem(
    status: int, detail: str, *, errors: list[InvalidInput] | None = None, headers: dict[str, str] | None = None
) -> ProblemResponse:
    """Make the answer for *status*: the title is the status' own phrase, *detail* what happened here."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors)
    return ProblemResponse(body.model_dump(exclude_none=True), status_code=status, headers=headers)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the problems a route can answer, for its OpenAPI document."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Turn every exception that leaves a handler into a problem document."""

    @app.exception_handler(FleetError)
    async def _refused(request: Request, error: FleetError) -> ProblemResponse:
        allow = {"Allow": error.allow} if isinstance(error, NotThisVerb) else _allow(request)
        return problem(error.status, str(error), headers=allow if error.status == 405 else None)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> ProblemResponse:
        detail, headers = str(error.detail), dict(error.headers or {})
        if error.status_code == HTTPStatus.NOT_FOUND and detail == HTTPStatus.NOT_FOUND.phrase:
            detail = f"there is nothing at {request.url.path}; /openapi.json lists what there is"
        elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            detail, headers = f"{request.url.path} does not answer {request.method}", _allow(request)
        return problem(error.status_code, detail, headers=headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> ProblemResponse:
        errors = [_invalid_input(item) for item in error.errors()]
        if any(item["loc"][0] == "path" for item in error.errors()):
            return problem(404, "; ".join(item.message for item in errors), errors=errors)
        detail = "the request does not have the form this route expects"
        if isinstance(error.body, bytes):
            detail = "the body was not read as JSON: send it with `Content-Type: application/json`"
        return problem(400, detail, errors=errors)

    @app.exception_handler(OperationalError)
    @app.exception_handler(PoolTimeoutError)
    async def _database(_: Request, error: OperationalError | PoolTimeoutError) -> ProblemResponse:
        log.error("database_unavailable", error=str(getattr(error, "orig", error)))
        return problem(503, "the database does not answer just now; try again", headers={"Retry-After": "5"})

    @app.exception_handler(IntegrityError)
    async def _overtaken(_: Request, error: IntegrityError) -> ProblemResponse:
        log.warning("request_overtaken", error=str(error.orig))
        return problem(409, "another request changed the same thing at the same moment; look at it, and try again")

    @app.exception_handler(DataError)
    async def _unstorable(_: Request, error: DataError) -> ProblemResponse:
        log.warning("request_unstorable", error=str(error.orig))
        return problem(400, "the request holds a value that the database can't take, such as a NUL character")

    @app.exception_handler(SecretError)
    async def _sealed(_: Request, error: SecretError) -> ProblemResponse:
        log.error("secret_unusable", error=str(error))
        return problem(500, str(error))

    @app.exception_handler(StoreUnavailable)
    async def _unavailable(_: Request, error: StoreUnavailable) -> ProblemResponse:
        log.error("secret_store_unavailable", error=str(error))
        return problem(503, str(error), headers={"Retry-After": "5"})


def unexpected() -> ProblemResponse:
    """Make the answer for an error that nobody foresaw; what it was is for the log only."""
    return problem(500, "an unexpected error; the server's log has the details under this answer's X-Request-Id")


def _allow(request: Request) -> dict[str, str]:
    """Return the `Allow` header of a 405 (RFC 9110, section 15.5.6): each method has a route of its own here."""
    allowed = [
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in request.app.routes)
    ]
    return {"Allow": ", ".join(allowed)}


def _invalid_input(item: dict[str, Any]) -> InvalidInput:
    if item["type"] == "json_invalid":
        return InvalidInput(location="body", message=f"no JSON: {item['ctx']['error']} (character {item['loc'][-1]})")
    return InvalidInput(location=".".join(str(part) for part in item["loc"]), message=item["msg"])
