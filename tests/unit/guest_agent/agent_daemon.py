"""The agent as a guest has it: one file, run as a daemon, below a root of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unit.guest_agent.agent_doubles import build_program


@dataclass
class InstalledAgent:
    """A program in a folder of its own, and what a guest has for it."""

    folder: Path
    program: Path

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def socket(self) -> Path:
        return self.folder / "socket"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(self.program), "--root", str(self.root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)

    def daemon(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        own = ("--channel", f"unix:{self.socket}", "-H", str(self.log), "-l", "info")
        return self.run("daemon", *own, *arguments, **options)

    def pid(self) -> int:
        return int((self.root / "run/singularity/singularity.pid").read_text())

    def ask(self, name: str, value: Any = "") -> dict[str, str]:
        """Ask over the unix socket, which a daemon that was just started may not have yet."""
        deadline = time.monotonic() + 10
        while True:
            with socket.socket(socket.AF_UNIX) as connection:
                try:
                    connection.settimeout(30)
                    connection.connect(str(self.socket))
                    connection.sendall(json.dumps({"name": name, "value": value}).encode() + b"\n\n")
                    answer = connection.recv(65536)
                except OSError:
                    answer = b""
            if answer:
                read: dict[str, str] = json.loads(answer)
                return read
            assert time.monotonic() < deadline
            time.sleep(0.02)


@contextmanager
def installed(**options: Any) -> Iterator[InstalledAgent]:
    with tempfile.TemporaryDirectory(prefix="agent-") as name:  # the path of a socket is short: not tmp_path
        folder = Path(name)
        agent = InstalledAgent(folder, build_program(folder / "singularity", **options))
        (agent.root / "etc").mkdir(parents=True)
        (agent.root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        (agent.root / "etc/shadow").write_text("root:*:19000:0:99999:7:::\n")
        try:
            yield agent
        finally:
            agent.daemon("stop")


def gone(pid: int) -> bool:
    """Return whether a process has ended; who should bury it may be slow."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
