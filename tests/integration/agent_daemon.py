"""The guest agent as a daemon of its own, for a guest that is a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

SOURCE = Path(__file__).parents[2] / "roles/guest_agent/files"
STOP_SECONDS = 10
MAC = "52:54:00:12:34:56"
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000:Ann:/home/ann:/bin/bash\n",
    "etc/shadow": "root:*:19000:0:99999:7:::\nann:!:19000:0:99999:7:::\n",
    "etc/group": "root:x:0:\nshadow:x:42:\nann:x:1000:\n",
    "etc/hostname": "before\n",
    "etc/hosts": "127.0.0.1\tlocalhost\n127.0.1.1\tbefore\n",
    "etc/resolv.conf": "nameserver 192.0.2.1\n",
    "etc/os-release": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    "etc/network/interfaces": "auto lo\niface lo inet loopback\n",
    "sys/class/net/eth0/address": f"{MAC}\n",
    "sys/class/net/eth0/type": "1\n",
}


def guest_root(directory: Path) -> Path:
    """Make `directory` a Debian guest's root, as far as the agent looks at it: one interface, users root and ann."""
    for path, text in FILES.items():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (directory / "etc/shadow").chmod(0o640)
    (directory / "root").mkdir(mode=0o700)
    (directory / "home/ann").mkdir(parents=True)
    (directory / "tmp").mkdir(mode=0o1777)
    return directory


class AgentDaemon:
    """`with AgentDaemon(folder, "xenstore:/a/socket") as agent:` runs our agent, whose root is `folder`/root.

    `options` are further ones of `singularity daemon start`; `program` is a zipapp to run instead of the source.
    """

    def __init__(self, folder: Path, channel: str, *options: str, program: Path | None = None, code: str = "") -> None:
        self.folder = folder
        self.root = folder / "root" if (folder / "root").exists() else guest_root(folder / "root")
        self.log = folder / "agent.log"
        self.pidfile = folder / "agent.pid"
        self._command = [sys.executable, "-m", "singularity"]
        if program:
            self._command = [sys.executable, str(program)]
        elif code:
            self._command = [sys.executable, "-c", code]
        self._command += ["daemon", "start", "--nodaemonize", "--root", str(self.root), "--channel", channel]
        self._command += [
            "--cache",
            str(folder / "cache"),
            "--run",
            str(folder / "run"),
            "--pidfile",
            str(self.pidfile),
        ]
        self._command += ["--configuration", str(folder / "configuration"), "--loghandler", "-", "--loglevel", "debug"]
        self._command += options
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self._command,
                env={**os.environ, "PYTHONPATH": str(SOURCE)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def stop(self) -> int:
        """Stop it as an init does, and return its exit status."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the agent does not stop: {self.log.read_text()}") from None

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def logged(self, words: str, seconds: float = 10) -> bool:
        """Tell whether it logs these words within some time."""
        deadline = time.monotonic() + seconds
        while words not in self.log.read_text():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def file(self, path: str) -> Path:
        """Return where the guest's file is."""
        return self.root / path.lstrip("/")
