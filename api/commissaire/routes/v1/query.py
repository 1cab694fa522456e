"""Query parameters of REST v1: a misspelt one is refused, for without it the answer would be to another question."""

from __future__ import annotations

from fastapi import Request

from commissaire.fleet.errors import Invalid


async def check_query(request: Request) -> None:
    """Refuse query parameters that a route of v1 does not have (a dependency of the whole application).

    Routes without any say nothing about them, and take them.

    Raises:
        Invalid: there are some.
    """
    path = request.scope["route"].path
    if not request.scope["query_string"] or not path.startswith("/api/v1/"):
        return
    operation = request.app.openapi()["paths"].get(path, {}).get(request.method.lower(), {})
    known = [parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"]
    unknown = [name for name in request.query_params if name not in known]
    if known and unknown:
        raise Invalid(f"there is no query parameter {unknown[0]!r} here; there are {', '.join(known)}")
