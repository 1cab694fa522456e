"""Query parameters of REST v1: a misspelt one is refused, for without it the answer would be to another question."""

from __future__ import annotations

from fastapi.dependencies.models import Dependant
from starlette.requests import HTTPConnection

from commissaire.fleet.errors import Invalid


async def check_query(request: HTTPConnection) -> None:
    """Refuse query parameters that a route of v1 does not have (a dependency of the whole application).

    Routes without any say nothing about them, and take them.

    Raises:
        Invalid: there are some.
    """
    route = request.scope["route"]
    if not request.scope["query_string"] or not route.path.startswith("/api/v1/"):
        return
    known = _parameters(route.dependant)
    unknown = [name for name in request.query_params if name not in known]
    if known and unknown:
        raise Invalid(f"there is no query parameter {unknown[0]!r} here; there are {', '.join(known)}")


def _parameters(dependant: Dependant) -> list[str]:
    own = [parameter.alias for parameter in dependant.query_params]
    return own + [name for below in dependant.dependencies for name in _parameters(below)]
