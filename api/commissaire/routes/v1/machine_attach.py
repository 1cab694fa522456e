"""REST v1: a machine's serial console both ways, over a WebSocket. The gate and check_role have let it in."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.concurrency import run_in_threadpool

from commissaire.fleet.errors import FleetError
from commissaire.machines.console import Console
from commissaire.problems import problem
from commissaire.records import AuditEntry
from commissaire.routes.machine_access import console_of
from commissaire.services import Parts, Services

router = APIRouter(prefix="/api/v1/machines/{hypervisor}/{name}")
_ROOM = 256
"""Pieces, of 16 KiB at most, that wait for a client who reads slowly."""
_LOOK_SECONDS = 1.0
_OVER, _GOING_AWAY, _TOO_SLOW = 1000, 1001, 1013


@router.websocket("/console/attach")
async def attach(socket: WebSocket, hypervisor: str, name: str, parts: Parts) -> None:
    """Carry what the machine says to the client, and what the client types to the machine, in binary messages."""
    loop, said = asyncio.get_running_loop(), asyncio.Queue[bytes | int](_ROOM + 1)

    def put(piece: bytes | int) -> None:
        if said.qsize() < _ROOM:
            said.put_nowait(piece)
        elif said.qsize() == _ROOM:
            said.put_nowait(_TOO_SLOW)

    def take(piece: bytes | int) -> None:
        loop.call_soon_threadsafe(put, piece)

    try:
        console = await run_in_threadpool(console_of, parts, hypervisor, name, take, lambda: take(_OVER))
    except FleetError as error:
        await socket.send_denial_response(problem(error.status, str(error)))
        return
    try:
        await run_in_threadpool(_audit, parts, socket)
        await socket.accept()
        await _bridge(parts, socket, console, said)
    finally:
        console.close()


async def _bridge(parts: Services, socket: WebSocket, console: Console, said: asyncio.Queue[bytes | int]) -> None:
    """Carry both ways until one of them ends."""
    ways = {asyncio.create_task(_tell(parts, socket, said)), asyncio.create_task(_type(socket, console))}
    try:
        done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
    for way in done:
        way.result()


async def _tell(parts: Services, socket: WebSocket, said: asyncio.Queue[bytes | int]) -> None:
    while not parts.stopping:
        try:
            piece = await asyncio.wait_for(said.get(), _LOOK_SECONDS)
        except TimeoutError:
            continue
        if isinstance(piece, int):
            await socket.close(piece)
            return
        try:
            await socket.send_bytes(piece)
        except WebSocketDisconnect:
            return
    await socket.close(_GOING_AWAY)


async def _type(socket: WebSocket, console: Console) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        if message.get("bytes"):
            console.write(message["bytes"])


def _audit(parts: Services, socket: WebSocket) -> None:
    with parts.database.write() as session:
        session.add(
            AuditEntry(
                who=socket.state.user,
                role=socket.state.role,
                what=f"WebSocket {socket.url.path}"[:1000],
                client=socket.client.host if socket.client else "",
                outcome=101,
            )
        )
