"""A commissaire-server to be measured, with a home and a data folder of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from commissaire.database import Database
from lab import Lab
from ports import free_port

BIN = Path(sys.executable).parent
START_SECONDS = 60
STOP_SECONDS = 20


class BenchError(Exception):
    """Something could not be measured; the message says why."""


@dataclass(frozen=True)
class Server:
    """A server that is ready; `lab` is whose network it is in, None for this computer's loopback."""

    pid: int
    endpoint: str
    authorization: tuple[str, str]
    lab: Lab | None

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Return its answer. Raise httpx.HTTPStatusError when it refuses."""
        answer: httpx.Response = self._inside(httpx.request, method, self.endpoint + path, **self._options, json=body)
        return answer.raise_for_status()

    def follow(self, operation: int) -> float:
        """Wait until an operation ends; return the time it ended as a listener learns it (`time.time`)."""

        def listen() -> float:
            path = f"{self.endpoint}/api/v1/operations/{operation}/events/stream"
            with httpx.stream("GET", path, **self._options) as answer:
                for line in answer.iter_lines():
                    if line == "event: end":
                        return time.time()
            raise BenchError(f"the stream of operation {operation} broke off")

        ended: float = self._inside(listen)
        state = self.call("GET", f"/api/v1/operations/{operation}").json()
        if state["state"] != "finished":
            raise BenchError(f"operation {operation} is {state['state']}: {state['message']}")
        return ended

    def _inside(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self.lab.inside(function, *args, **kwargs) if self.lab else function(*args, **kwargs)

    @property
    def _options(self) -> dict[str, Any]:
        return {"auth": self.authorization, "trust_env": False, "timeout": 120}


@contextmanager
def running(
    home: Path,
    lab: Lab | None = None,
    prepare: Callable[[Database], None] | None = None,
    options: Sequence[str] = (),
) -> Iterator[Server]:
    """Start a server that keeps everything in `home`, and stop it. `prepare` fills its database before."""
    data = home / "data"
    if prepare:
        data.mkdir(mode=0o700)
        database = Database(f"sqlite:///{data}/commissaire.db")
        database.migrate()
        prepare(database)
        database.close()
    endpoint = f"http://127.0.0.1:{(port := free_port())}"
    command = [str(BIN / "commissaire-server"), "--no-config-file", "--data-dir", str(data), "-p", str(port)]
    command += ["--watch-interval-seconds", "0", *options]  # what is measured is what was asked for
    environment = {**os.environ, "HOME": str(home)}
    with (home / "server.log").open("ab") as log:
        process = subprocess.Popen(lab.command(command) if lab else command, env=environment, stdout=log, stderr=log)
    try:
        wait_until_ready(endpoint, process, lab)
        client = json.loads((home / ".commissaire.json").read_text())
        yield Server(process.pid, endpoint, (client["username"], client["password"]), lab)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_ready(endpoint: str, process: "subprocess.Popen[bytes]", lab: Lab | None = None) -> None:
    """Return when /readyz is answered. Raise BenchError when `process`, whose endpoint it is, ends before."""
    deadline = time.monotonic() + START_SECONDS
    while not (lab.inside(_ready, endpoint) if lab else _ready(endpoint)):
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchError(f"{process.args!r} does not start, exit code {process.poll()}")
        time.sleep(0.02)


def _ready(endpoint: str) -> bool:
    try:
        return httpx.get(f"{endpoint}/readyz", trust_env=False, timeout=5).status_code == 200
    except httpx.TransportError:
        return False
