"""Two servers on one database, the first of them stopped in a step that says nothing for long: no host has two masters.

No machines: the playbooks run here.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from commissaire.fleet.claims import EXPIRY_SECONDS, TRUST_SECONDS
from ports import free_port

pytestmark = pytest.mark.integration

WITH_THESE_PLAYBOOKS = """
import dataclasses, pathlib, sys
from commissaire import server
from commissaire.launcher.kinds import KINDS
folder = pathlib.Path(sys.argv.pop(1))
for kind in ("bootstrap", "restart"):
    KINDS[kind] = dataclasses.replace(KINDS[kind], playbook=str(folder / f"{kind}.yml"))
server.main()
"""
PLAY = "- hosts: all\n  gather_facts: false\n  connection: local\n  tasks:\n    - commissaire.fleet.checkpoint: "
BOOTSTRAP = PLAY + "{phase: done, state: finished}\n"
RESTART = PLAY + "{phase: rebooting}\n    - ansible.builtin.raw: exec sleep 600\n"
HOST = "127.0.0.9"


class Server:
    """A server with a data folder of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.data_dir = folder / name
        self.home = folder / f"home of {name}"
        self.home.mkdir()
        self.log = folder / f"{name}.log"
        port = free_port()
        options = [
            "--no-config-file",
            "--data-dir",
            self.data_dir,
            "--listen-port",
            port,
            "--watch-interval-seconds",
            0,
        ]
        options += ["--database-url", f"sqlite:///{folder / 'shared.db'}"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", WITH_THESE_PLAYBOOKS, str(folder), *map(str, options)],
                env={**os.environ, "HOME": str(self.home)},
                stdout=log,
                stderr=log,
            )
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        until(self._is_ready, 60)
        configuration = json.loads((self.home / ".commissaire.json").read_text())
        self._client.auth = (configuration["username"], configuration["password"])

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request as the administrator; return what is answered."""
        answer = self._client.request(method, path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def works(self) -> list[int]:
        """Return the processes below this server that work on the host."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("HOME") == str(self.home) and process.cmdline() == ["sleep", "600"]:
                    found.append(process.pid)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def end(self) -> None:
        """End it, also while it is stopped."""
        self._client.close()
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait(30)

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self._client.get("/readyz").is_success
        except httpx.TransportError:
            return False


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    (tmp_path / "bootstrap.yml").write_text(BOOTSTRAP)
    (tmp_path / "restart.yml").write_text(RESTART)
    first = Server(tmp_path, "first")
    try:
        (tmp_path / "second").mkdir(mode=0o700)
        shutil.copy(first.data_dir / "master.key", tmp_path / "second")
        second = Server(tmp_path, "second")
        try:
            yield first, second
        finally:
            second.end()
    finally:
        first.end()


def test_the_playbook_of_a_server_that_is_stopped_is_gone_before_another_server_takes_over(
    servers: tuple[Server, Server],
) -> None:
    first, second = servers
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    first.ask("PUT", "/api/v0/cluster/web", {})
    body = {"ssh_priv_key": base64.b64encode(pem).decode(), "cluster": "web"}
    first.ask("PUT", f"/api/v0/host/{HOST}", body)
    until(lambda: first.ask("GET", f"/api/v0/host/{HOST}")["status"] == "active", 60)
    path = f"/api/v1/operations/{second.ask('POST', '/api/v1/operations', {'kind': 'restart', 'cluster': 'web'})['id']}"
    until(lambda: bool(first.works() or second.works()), 60)
    master, heir = (first, second) if first.works() else (second, first)
    time.sleep(TRUST_SECONDS + 1)
    assert len(master.works()) == 1, "a server that is well keeps its playbook in a silent step"

    master.process.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    until(lambda: not master.works(), EXPIRY_SECONDS)
    gone = time.monotonic() - stopped
    assert heir.ask("GET", path)["attempt"] == 1
    until(lambda: bool(heir.works()), 60)
    print(f"the playbook was gone after {gone:.1f} s, the next one began after {time.monotonic() - stopped:.1f} s")
    assert master.works() == []

    before = _record(heir, path)
    master.process.send_signal(signal.SIGCONT)
    until(lambda: "operation_taken_over" in master.log.read_text(), 30)
    time.sleep(3)  # more than a heartbeat
    assert (_record(heir, path), len(heir.works()), master.works()) == (before, 1, [])
    assert before[0]["state"] == "running"
    assert before[0]["attempt"] == 2

    asked = time.monotonic()
    master.ask("POST", f"{path}/cancel")
    until(lambda: heir.ask("GET", path)["state"] == "cancelled", 10)
    print(f"cancelled through the other server within {time.monotonic() - asked:.1f} s")
    assert time.monotonic() - asked < 5
    assert heir.works() == []


def _record(server: Server, path: str) -> list[Any]:
    return [server.ask("GET", f"{path}{part}") for part in ("", "/hosts", "/events")]


def until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s"
        time.sleep(0.1)
