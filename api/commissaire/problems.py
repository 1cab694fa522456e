"""Errors as answers: RFC 9457 problem documents that name the thing, the cause and the next step."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from commissaire.fleet.errors import FleetError

MEDIA_TYPE = "application/problem+json"
log = structlog.get_logger(__name__)


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
    def _refused(_: Request, error: FleetError) -> ProblemResponse:
        return problem(error.status, str(error))

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> ProblemResponse:
        detail = str(error.detail)
        if error.status_code == HTTPStatus.NOT_FOUND and detail == HTTPStatus.NOT_FOUND.phrase:
            detail = f"there is nothing at {request.url.path}; /openapi.json lists what there is"
        elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            detail = f"{request.url.path} does not answer {request.method}"
        return problem(error.status_code, detail, headers=dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    def _invalid(_: Request, error: RequestValidationError) -> ProblemResponse:
        errors = [
            InvalidInput(location=".".join(str(part) for part in item["loc"]), message=item["msg"])
            for item in error.errors()
        ]
        if any(item["loc"][0] == "path" for item in error.errors()):
            return problem(404, "; ".join(item.message for item in errors), errors=errors)
        return problem(400, "the request does not have the form this route expects", errors=errors)

    @app.exception_handler(OperationalError)
    def _database(_: Request, error: OperationalError) -> ProblemResponse:
        log.error("database_unavailable", error=str(error.orig))
        return problem(503, "the database does not answer just now; try again", headers={"Retry-After": "5"})

    @app.exception_handler(Exception)
    def _unexpected(request: Request, error: Exception) -> ProblemResponse:
        log.error("unexpected_error", path=request.url.path, exc_info=error)
        return problem(500, "an unexpected error; the server's log has the details under this answer's X-Request-Id")
