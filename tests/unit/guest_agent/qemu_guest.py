"""A guest of a folder, and whoever asks its agent in QEMU's dialect."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

from singularity.cache import Cache
from singularity.files import Files
from singularity.guest import Guest
from singularity.loop import Loop
from singularity.qemu import Qemu
from singularity.settings import Settings

PASSWD = "root:x:0:0:root:/root:/bin/sh\nann:x:{uid}:{gid}:Ann:/home/ann:/bin/sh\n"


class Asker:
    """Asks an agent that works on a folder; `settings` are those of the agent."""

    def __init__(self, root: Path | str, **settings: Any) -> None:
        self.settings = Settings(root=str(root), backup=False, **settings)
        files = Files(str(root), self.settings.allow_paths, self.settings.deny_paths, backup=False)
        self.loop = Loop()
        self.qemu = Qemu(Guest(self.settings, files, Cache(str(Path(root) / "var/cache/singularity"))), self.loop)

    def answer(self, execute: str, **arguments: Any) -> dict[str, Any]:
        """Return the whole answer to a command."""
        given = {name.rstrip("_").replace("_", "-"): value for name, value in arguments.items()}
        reply = self.qemu.answer({"execute": execute, "arguments": given})
        assert reply is not None
        assert reply.endswith(b"\n")
        assert reply.count(b"\n") == 1
        return dict(json.loads(reply))

    def ask(self, execute: str, **arguments: Any) -> Any:
        """Return what a command returns."""
        answer = self.answer(execute, **arguments)
        assert "return" in answer, answer
        return answer["return"]

    def error(self, execute: str, **arguments: Any) -> str:
        """Return what is said of a command that fails."""
        answer = self.answer(execute, **arguments)
        assert "error" in answer, answer
        return str(answer["error"]["desc"])

    def close(self) -> None:
        self.qemu.close()

    def turn(self, seconds: float = 0.05) -> None:
        """Let the agent's loop run for a moment."""
        self.loop.later(seconds, self.loop.stop)
        self.loop.run()

    def run(self, path: str, *arguments: str, seconds: float = 10.0, **more: Any) -> dict[str, Any]:
        """Run a program to its end, and return what is told of it."""
        pid = self.ask("guest-exec", path=path, arg=list(arguments), **more)["pid"]
        return self.end(pid, seconds)

    def end(self, pid: int, seconds: float = 10.0) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status = dict(self.ask("guest-exec-status", pid=pid))
            if status["exited"]:
                return status
            self.turn(0.02)
        raise AssertionError(f"process {pid} still runs")


def encoded(data: bytes | str) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def decoded(text: str) -> bytes:
    return base64.b64decode(text)
