"""Requests a second with a large fleet on record."""

import base64
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from ports import free_port

from . import ceiling, client
from .fleet import address, record_hosts
from .report import Part, ratio
from .server import Server, running, wait_until_ready

HOSTS = 10_000
CONNECTIONS = 4
SECONDS = 4


def measure() -> Part:
    part = Part(f"REST: requests a second, {HOSTS:,} hosts on record")
    some = random.Random(1).sample(range(HOSTS), 1000)  # noqa: S311 # a choice that can be repeated
    routes = {
        "GET /api/v0/host/ADDRESS": [f"/api/v0/host/{address(number)}" for number in some],
        "GET /api/v0/hosts": ["/api/v0/hosts"],
        "GET /api/v1/hosts?limit=100": [f"/api/v1/hosts?limit=100&after={address(number)}" for number in some],
    }
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        running(Path(folder), prepare=lambda database: record_hosts(database, HOSTS)) as server,
    ):
        for route, paths in routes.items():
            _measure_route(part, server, route, paths, Path(folder) / "body")
    _measure_cache(part, [f"/api/v0/host/{address(number)}" for number in some])
    part.notes.append(
        f"{CONNECTIONS} connections, kept alive, each sending its next request when it has its answer, with a user and "
        "password; a client of bare asyncio in a process of its own. Compared with bare Starlette on uvicorn that "
        "sends the same bytes, made beforehand, to whoever asks."
    )
    return part


def _measure_route(part: Part, server: Server, route: str, paths: Sequence[str], body: Path) -> None:
    body.write_bytes(server.call("GET", paths[0]).content)
    ours = _load(server.endpoint, server.pid, paths, server.authorization)
    with _bare(body) as (endpoint, pid):
        bare = _load(endpoint, pid, paths, server.authorization)
    for name, result in ((route, ours), ("  the same bytes from bare Starlette", bare)):
        compared = ratio(result["a_second"], bare["a_second"], "bare Starlette") if result is ours else ""
        part.add(
            name,
            f"{result['a_second']:,.0f} a second, median {result['median_ms']:.1f} ms, 99 % {result['p99_ms']:.1f} ms",
            compared,
            f"{result['bytes']:,} bytes; CPU a request: server {result['server_ms']:.2f} ms, "
            f"client {result['client_ms']:.2f} ms",
        )


def _measure_cache(part: Part, paths: Sequence[str]) -> None:
    """Ask for a host as before, of a server that remembers no password and so checks each by bcrypt."""
    for name, options in (("", ()), (", no password remembered", ("--credential-cache-seconds", "0"))):
        with (
            tempfile.TemporaryDirectory(prefix="bench-") as folder,
            running(Path(folder), prepare=lambda database: record_hosts(database, HOSTS), options=options) as server,
        ):
            result = _load(server.endpoint, server.pid, paths, server.authorization)
        part.add(
            f"GET /api/v0/host/ADDRESS, signed in{name}",
            f"{result['a_second']:,.0f} a second, median {result['median_ms']:.1f} ms, 99 % {result['p99_ms']:.1f} ms",
            "",
            f"CPU a request: server {result['server_ms']:.2f} ms",
        )


def _load(endpoint: str, pid: int, paths: Sequence[str], user: tuple[str, str]) -> dict[str, Any]:
    where = urlsplit(endpoint)
    authorization = "Basic " + base64.b64encode(":".join(user).encode()).decode()
    wanted = json.dumps({"paths": paths, "authorization": authorization})
    process = psutil.Process(pid)
    argv = [sys.executable, client.__file__, str(where.hostname), str(where.port)]
    subprocess.run([*argv, "0.5", str(CONNECTIONS)], input=wanted, capture_output=True, text=True, check=True)
    before = sum(process.cpu_times()[:2])
    done = subprocess.run(
        [*argv, str(SECONDS), str(CONNECTIONS)], input=wanted, capture_output=True, text=True, check=True
    )
    used = sum(process.cpu_times()[:2]) - before
    result: dict[str, Any] = json.loads(done.stdout)
    return {**result, "server_ms": 1000 * used / result["requests"]}


@contextmanager
def _bare(body: Path) -> Iterator[tuple[str, int]]:
    port = free_port()
    process = subprocess.Popen([sys.executable, ceiling.__file__, str(port), str(body)])
    try:
        endpoint = f"http://127.0.0.1:{port}"
        wait_until_ready(endpoint, process)
        yield endpoint, process.pid
    finally:
        process.terminate()
        process.wait()
