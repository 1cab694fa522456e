"""How REST v0 reads bodies: as Commissaire 0.0.6 did, and never anything but an object."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from commissaire.fleet.errors import Invalid


class JsonRoute(APIRoute):
    """Reads every body as JSON, whatever its Content-Type says, and refuses `null`, which FastAPI takes for no body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See `APIRoute.get_route_handler`."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def handle_json(request: Request) -> Response:
            others = [header for header in request.scope["headers"] if header[0] != b"content-type"]
            request.scope["headers"] = [*others, (b"content-type", b"application/json")]
            if (await request.body()).strip() == b"null":
                raise Invalid("the body must be a JSON object, not null")
            return await handle(request)

        return handle_json
