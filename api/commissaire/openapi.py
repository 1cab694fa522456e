"""The OpenAPI document, made true: what FastAPI can't know of the answers that every route shares."""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from commissaire.auth.gate import OPEN_PATHS, refusal_status
from commissaire.auth.role import least_role
from commissaire.auth.self_auth import SelfAuths
from commissaire.problems import Problem, responses

_SCHEMA = "#/components/schemas/{model}"
_PATH_SCHEMAS: dict[str, dict[str, Any]] = {
    "name": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
    "address": {
        "type": "string",
        "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}, {"format": "hostname", "maxLength": 253}],
    },
    "path": {"type": "string", "minLength": 1, "maxLength": 1000},
}
_IN_PATH = re.compile(r"{(\w+)}")


def install(app: FastAPI) -> None:
    """Let *app* describe itself by `document`, made at the first request for it."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of *app*, with its problems and its authentication."""
    described = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = described["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):  # bad input is a problem document with 400 or 404 here
        schemas.pop(unused, None)
    problem = Problem.model_json_schema(ref_template=_SCHEMA)
    schemas |= {**problem.pop("$defs"), "Problem": problem}
    schemes = described["components"].setdefault("securitySchemes", {})  # FastAPI has put in what single routes ask for
    schemes |= app.state.security
    described["security"] = [{name: []} for name in app.state.security]
    self_auths = SelfAuths(app.state.settings.self_auths)
    everybodys = SelfAuths(app.state.settings.virt_mode.open_paths)
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            is_open = path in OPEN_PATHS or everybodys.cover(path)
            _complete(path, operation, is_open)
            if is_open or self_auths.cover(path):
                operation.pop("x-role", None)
            else:
                operation["x-role"] = least_role(method, operation)
            _narrow(path, operation)
    return described


def _complete(path: str, operation: dict[str, Any], is_open: bool) -> None:
    answers = operation["responses"]
    if "application/problem+json" not in answers.get("422", {}).get("content", {}):
        answers.pop("422", None)
    statuses = [500]
    if path != "/healthz":
        statuses.append(503)
    if is_open:
        operation["security"] = []
    else:
        statuses += [refusal_status(path), 403, 429]
    if "requestBody" in operation:
        statuses.append(413)
    for status, answer in responses(*statuses).items():
        answers.setdefault(str(status), answer)


def _narrow(path: str, operation: dict[str, Any]) -> None:
    """Tell the form of what stands in paths; a body may be left out, but is never `null`."""
    parameters = {parameter["name"]: parameter for parameter in operation.get("parameters", [])}
    for name in _IN_PATH.findall(path):
        if name in _PATH_SCHEMAS:
            parameters[name] = {"name": name, "in": "path", "required": True, "schema": _PATH_SCHEMAS[name]}
    operation["parameters"] = list(parameters.values())
    for content in operation.get("requestBody", {}).get("content", {}).values():
        bodies = [one for one in content["schema"].get("anyOf", []) if one != {"type": "null"}]
        if len(bodies) == 1:
            content["schema"] = bodies[0]
