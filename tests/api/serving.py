"""The application on a real port of loopback, for clients of other programs."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.testclient import TestClient

from api.conftest import PASSWORD, USER, Fleet
from commissaire.app import create_app
from commissaire.settings import Settings
from ports import free_port
from unit.commctl.certificates import Pair

PATIENCE_SECONDS = 60


@contextmanager
def serving(settings: Settings, port: int = 0, certificate: Pair | None = None) -> Iterator[tuple[str, Fleet]]:
    """Serve an application until the end of the block; yield its URL, and what brings its records into states.

    With *certificate* by HTTPS.
    """
    app = create_app(settings)
    tls = {"ssl_certfile": certificate.certificate, "ssl_keyfile": certificate.key} if certificate else {}
    config = uvicorn.Config(
        app, port=port or free_port(), log_config=None, access_log=False, timeout_graceful_shutdown=5,
        lifespan="off", **tls,
    )  # fmt: skip
    server = uvicorn.Server(config)
    with TestClient(app) as client:
        thread = threading.Thread(target=serve, args=[server])
        thread.start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.started
        services = app.state.services
        try:
            client.auth = (USER, PASSWORD)
            yield f"http{'s' if certificate else ''}://127.0.0.1:{config.port}", Fleet(client, services)
        finally:
            server.should_exit = True
            services.announce_stop()
            thread.join(PATIENCE_SECONDS)
            gc.collect()  # what was left open is told of here, not in whichever test comes later


def serve(server: uvicorn.Server, listener: socket.socket | None = None) -> None:
    """Run a server until it is told to stop, and close the connections that it leaves to the end of its process."""
    asyncio.run(_serve(server, [listener] if listener else None))


async def _serve(server: uvicorn.Server, sockets: list[socket.socket] | None) -> None:
    await server.serve(sockets)
    accepting = asyncio.all_tasks() - {asyncio.current_task()}
    if accepting:
        await asyncio.wait(accepting, timeout=1)
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    await asyncio.sleep(0.05)  # they are closed some turns of the loop later
