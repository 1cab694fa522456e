"""REST v1: what machines show, on their serial consoles and on their screens."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Query, Response
from starlette.concurrency import run_in_threadpool

from commissaire.auth.role import Role
from commissaire.machines.screenshot import screenshot
from commissaire.problems import responses
from commissaire.routes.machine_access import console_of, with_domain
from commissaire.services import Parts

router = APIRouter(prefix="/api/v1/machines/{hypervisor}/{name}", tags=["machines"])
_MARKS = {"x-role": Role.OPERATOR, "x-audit": True}
_MOST_BYTES = 1024 * 1024
_SCREEN_SECONDS = 20.0
_LOOK_SECONDS = 1.0


@router.get(
    "/console",
    openapi_extra=_MARKS,
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "What it said"}, **responses(400, 404, 409, 502)},
)
async def read_console(
    hypervisor: str,
    name: str,
    parts: Parts,
    seconds: Annotated[int, Query(ge=1, le=60, description="How long to listen.")] = 5,
) -> Response:
    """Return what a machine says on its serial console from now on, for some seconds, a MiB at most."""
    loop, said, over = asyncio.get_running_loop(), bytearray(), asyncio.Event()

    def take(data: bytes) -> None:
        said.extend(data[: _MOST_BYTES - len(said)])
        if len(said) == _MOST_BYTES:
            loop.call_soon_threadsafe(over.set)

    def end() -> None:
        loop.call_soon_threadsafe(over.set)

    console = await run_in_threadpool(console_of, parts, hypervisor, name, take, end)
    try:
        await _wait(parts, over, time.monotonic() + seconds)
    finally:
        console.close()
    return Response(bytes(said).decode(errors="replace"), media_type="text/plain")


@router.get(
    "/screenshot",
    openapi_extra=_MARKS,
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "Its screen"}, **responses(400, 404, 409, 502)},
)
def get_screenshot(hypervisor: str, name: str, parts: Parts) -> Response:
    """Return what a machine's first screen shows just now."""
    picture = with_domain(
        parts,
        hypervisor,
        name,
        lambda domain: screenshot(domain.connect(), domain),
        seconds=_SCREEN_SECONDS,
        rests=False,
    )
    return Response(picture, media_type="image/png")


async def _wait(parts: Parts, over: asyncio.Event, end: float) -> None:
    while not over.is_set() and not parts.stopping and (left := end - time.monotonic()) > 0:
        try:
            await asyncio.wait_for(over.wait(), min(left, _LOOK_SECONDS))
        except TimeoutError:
            continue
