"""A real Redis on a loopback port, to be killed and started again."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import redis

from ports import free_port

PASSWORD = "CANARY/of the bus"


class RedisServer:
    """Keeps nothing on disk; its log is in *folder*."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("redis-server") is None:
            pytest.skip("needs redis-server: apt-get install redis-server")
        self._port = free_port()
        self._log = folder / "redis.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.uri = f"redis://:CANARY%2Fof%20the%20bus@127.0.0.1:{self._port}/"

    def start(self) -> RedisServer:
        """Start it, and wait until it answers."""
        command = ["redis-server", "--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([*command, "--requirepass", PASSWORD], stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while True:
            try:
                with redis.Redis(port=self._port, password=PASSWORD) as client:
                    client.ping()
                return self
            except redis.ConnectionError:
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.05)

    def kill(self) -> None:
        """Kill it; nothing of what it had is left."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it hold its connections and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
