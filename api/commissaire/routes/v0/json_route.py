"""How REST v0 reads bodies: as Commissaire 0.0.6 did, and never anything but an object."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from commissaire.auth.authorisation import check_role
from commissaire.fleet.errors import Invalid

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class JsonRoute(APIRoute):
    """Reads every body as JSON, whatever its Content-Type says, and refuses `null`, which FastAPI takes for no body.

    Routes that need no body take any JSON object: commctl sends `{}` with every PUT and DELETE. Who may not use a route
    is told so before anything is said of the body.
    """

    def get_route_handler(self) -> _Handler:
        """See `APIRoute.get_route_handler`."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle if self.methods == {"GET"} else _checking(handle)

        async def handle_json(request: Request) -> Response:
            await check_role(request)
            others = [header for header in request.scope["headers"] if header[0] != b"content-type"]
            request.scope["headers"] = [*others, (b"content-type", b"application/json")]
            if (await request.body()).strip() == b"null":
                raise Invalid("the body must be a JSON object, not null")
            return await handle(request)

        return handle_json


def _checking(handle: _Handler) -> _Handler:
    async def check_and_handle(request: Request) -> Response:
        await check_role(request)
        body = await request.body()
        try:
            document = json.loads(body) if body else {}
        except (ValueError, RecursionError) as error:
            raise Invalid(f"the body is no JSON: {error}; this route needs none") from error
        if not isinstance(document, dict):
            raise Invalid("the body must be a JSON object; this route needs none")
        return await handle(request)

    return check_and_handle
