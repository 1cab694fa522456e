"""A real `commissaire-server` in a lab's namespace, and a REST client for it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from lab import Lab

BIN = Path(sys.executable).parent
PORT = 8000
BASE = f"http://127.0.0.1:{PORT}"


class Controller:
    """Starts, kills and asks a server; its state is below *folder*, its log in `log`."""

    def __init__(
        self, lab: Lab, folder: Path, *options: str, environ: dict[str, str] | None = None, base: str = BASE
    ) -> None:
        self.lab = lab
        self.folder = folder
        self.data_dir = folder / "data"
        self.home = folder / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        self.log = folder / "server.log"
        self.base = base
        self._options = options
        self._environ = {**os.environ, "HOME": str(self.home), **(environ or {})}
        self.process: subprocess.Popen[bytes] | None = None
        self._client = httpx.Client(base_url=base, timeout=30, verify=False)  # noqa: S501  plain HTTP: needs no authorities

    def start(self) -> Controller:
        """Start the server, and wait until it is ready."""
        command = [str(BIN / "commissaire-server"), "--data-dir", str(self.data_dir), *self._options]
        with self.log.open("ab") as log:
            self.process = self.lab.popen(command, env=self._environ, stderr=log, stdout=log)
        self.until(self._is_ready, 60, "the server to be ready")
        return self

    def kill(self) -> None:
        """Kill the server with SIGKILL: it gets no chance to do anything."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End the server with SIGTERM; return its exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(30)

    def __enter__(self) -> Controller:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()
        self._client.close()

    def ask(self, method: str, path: str, body: Any = None, **kwargs: Any) -> httpx.Response:
        """Send a request as the administrator."""
        return self.lab.inside(self._client.request, method, path, auth=self.credentials, json=body, **kwargs)

    @property
    def credentials(self) -> tuple[str, str]:
        """User and password, from commctl's configuration."""
        configuration = json.loads((self.home / ".commissaire.json").read_text())
        return configuration["username"], configuration["password"]

    def commctl(self, *arguments: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        """Run commctl, as the user who started the server."""
        command = [str(BIN / "commctl"), *arguments]
        return self.lab.run(command, env=self._environ, capture_output=True, text=True, **kwargs)

    def add_hosts(self, cluster: str, key: Path | None = None, seconds: float = 90, **wanted: str) -> None:
        """Make *cluster* as *wanted* with all machines of the lab, and wait until they are active."""
        encoded = base64.b64encode((key or self.lab.private_key).read_bytes()).decode()
        assert self.ask("PUT", f"/api/v0/cluster/{cluster}", wanted).status_code == 201
        for host in self.lab.hosts:
            body = {"ssh_priv_key": encoded, "cluster": cluster}
            assert self.ask("PUT", f"/api/v0/host/{host.address}", body).status_code == 201

        def settled() -> bool:
            statuses = {host["status"] for host in self.ask("GET", "/api/v0/hosts").json()}
            return not statuses & {"investigating", "bootstrapping"}

        self.until(settled, seconds, "the hosts to be bootstrapped")

    def restart(self, cluster: str, **parameters: Any) -> str:
        """Ask for a restart; return the operation's URL path."""
        return self.operate(cluster, "restart", **parameters)

    def operate(self, cluster: str, kind: str, **parameters: Any) -> str:
        """Ask for a rolling operation; return its URL path."""
        answer = self.ask("PUT", f"/api/v0/cluster/{cluster}/{kind}", parameters)
        assert answer.status_code == 201, answer.text
        return answer.headers["Location"]

    def ended(self, operation: str, seconds: float = 180) -> dict[str, Any]:
        """Wait until an operation is over; return it."""
        self.until(lambda: self.ask("GET", operation).json()["state"] not in ("queued", "running"), seconds, "its end")
        shown: dict[str, Any] = self.ask("GET", operation).json()
        return shown

    def hosts_of(self, operation: str) -> dict[str, dict[str, Any]]:
        """Return how it stands with each host of an operation, by address."""
        return {row["address"]: row for row in self.ask("GET", f"{operation}/hosts").json()["items"]}

    def phase(self, operation: str, address: str, *phases: str) -> Callable[[], bool]:
        """Return a condition: the host is in one of *phases*."""
        return lambda: self.hosts_of(operation)[address]["phase"] in phases

    def until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait for a condition; fail, showing the log's end, when it does not come true."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {seconds} s for {what}\n{self.log.read_text()[-4000:]}")
            time.sleep(0.1)

    def processes_of_playbooks(self) -> list[str]:
        """Return those of `processes` that do an operation's work: all but the supervisor that stands by."""
        return [line for line in self.processes() if "commissaire.launcher.supervisor" not in line]

    def processes(self) -> list[str]:
        """Return the command lines of all processes that work for this server's operations."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if f"HOME={self.home}".encode() not in (folder / "environ").read_bytes():
                    continue
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if command and "commissaire-server" not in command:
                found.append(f"{folder.name} {command}")
        return found

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the server ended\n{self.log.read_text()[-4000:]}"
        try:
            return self.lab.inside(self._client.get, "/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False
