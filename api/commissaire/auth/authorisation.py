"""May this user do that? Asked of every route, after the gate has let the request in."""

from __future__ import annotations

from fastapi import HTTPException, Request
from starlette.requests import HTTPConnection

from commissaire.auth.role import Role, least_role


async def check_role(request: HTTPConnection) -> None:
    """Refuse who has not the route's least role (a dependency of the whole application).

    That of a WebSocket is operator: what is sent there is typed at a machine's console.

    Raises:
        HTTPException: 403.
    """
    role: Role | None = request.state.role
    if role is None:  # the gate let everybody pass: the path is open, or its routes authenticate by themselves
        return
    method = request.scope.get("method", "WebSocket")
    extra = getattr(request.scope["route"], "openapi_extra", None)
    needed = Role.OPERATOR if request.scope["type"] == "websocket" else least_role(method, extra)
    if not role.may(needed):
        raise HTTPException(
            403,
            f"{request.state.user} has the role {role}; {method or 'WebSocket'} {request.url.path} needs {needed}: "
            "sign in as somebody who has it, or have it given in authentication-plugins",
        )


def check_administrator(request: Request, what: str) -> None:
    """Refuse *what*, a part of a request that its route lets others make, to everybody but administrators.

    Raises:
        HTTPException: 403.
    """
    role: Role | None = request.state.role
    if role is not None and not role.may(Role.ADMINISTRATOR):
        raise HTTPException(
            403,
            f"{request.state.user} has the role {role}; {what} needs {Role.ADMINISTRATOR}: leave it out",
        )
