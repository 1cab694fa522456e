"""Machines, a server among them, and a user at a shell there with a home of their own."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from lab import Lab, LabError, obstacle

from .terminal import command, say

BIN = Path(sys.executable).parent
ENDPOINT = "http://127.0.0.1:8000"
START_SECONDS = 60
STOP_SECONDS = 20


class DemoError(Exception):
    """What was to be shown did not happen; the message says what did."""


class AbsentError(Exception):
    """Something is missing on this computer; the message says what, and what to do."""


def check_computer() -> None:
    """Raise AbsentError when the demonstration can't be given here."""
    for program in ("commissaire-server", "commctl"):
        if not (BIN / program).exists():
            raise AbsentError(f"{program} is not installed beside {sys.executable}; run it as: make demo")
    if not Path("/etc/debian_version").exists():
        raise AbsentError("the machines are built from the Debian mirror that apt uses, and this is no Debian")
    if why := obstacle():
        raise AbsentError(why)


class Stage:
    """Everything lies in the lab's own directory, so that it goes with the lab, whichever way this process ends."""

    lab: Lab
    home: Path
    _server: "subprocess.Popen[bytes] | None" = None

    def make_lab(self, hosts: int) -> None:
        """Start the machines. Raise AbsentError when there can't be any here."""
        try:
            self.lab = Lab.make(hosts=hosts)
        except (LabError, OSError) as error:
            raise AbsentError(str(error)) from error
        self.home = self.lab.directory / "home"
        (self.home / ".ssh").mkdir(mode=0o700, parents=True)
        shutil.copy(self.lab.private_key, self.home / ".ssh" / "id_ed25519")
        self.private_key = "~/.ssh/id_ed25519"
        say(*(f"{host.name}  {host.address}  boot {host.boot_id()}" for host in self.lab.hosts))

    def start_server(self) -> None:
        """Start commissaire-server in the lab's network, and wait until it is ready."""
        data = self.home / "data"
        command("commissaire-server --data-dir ~/data &")
        log = self.home / "server.log"
        with log.open("wb") as stream:
            self._server = self.lab.popen(
                [BIN / "commissaire-server", "--no-config-file", "--data-dir", data],
                env=self._environment(),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,  # Ctrl-C ends the user's command first, then us, then the server by our hand
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.lab.inside(_ready):
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise DemoError(f"the server does not start; it says:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        say(*(line for line in log.read_text().splitlines() if line.startswith(("administrator", "commctl"))))

    def user(self, *words: str) -> None:
        """Run what a user types, with its output as it is. Raise DemoError when it fails."""
        command(" ".join(words))
        process = self.lab.popen(self._argv(words), env=self._environment(), cwd=self.home)
        try:
            code = process.wait()
        except BaseException as error:
            if not isinstance(error, KeyboardInterrupt):  # that has come to the command as well
                process.send_signal(signal.SIGTERM)
            _gone(process, 3)
            raise
        if code:
            raise DemoError(f"`{' '.join(words)}` ended with {code}\n{self._last_log_lines()}")

    def ask(self, *words: str) -> Any:
        """Return what a command prints as JSON, shown to nobody. Raise DemoError when it fails."""
        argv = self._argv([*words, "-o", "json"])
        done = self.lab.run(argv, env=self._environment(), cwd=self.home, capture_output=True, text=True)
        if done.returncode:
            raise DemoError(f"`{shlex.join(words)}` ended with {done.returncode}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def close(self) -> None:
        """Stop the server and remove the machines, and with them everything else."""
        interrupts = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            if self._server:
                self._server.terminate()
                _gone(self._server, STOP_SECONDS)
            if hasattr(self, "lab"):
                self.lab.down()
        finally:
            signal.signal(signal.SIGINT, interrupts)

    def _argv(self, words: "list[str] | tuple[str, ...]") -> list[str]:
        program, *rest = words
        return [
            str(BIN / program),
            *(word.replace("~", str(self.home), 1) if word[:2] == "~/" else word for word in rest),
        ]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "HOME": str(self.home)}

    def _last_log_lines(self) -> str:
        return "the server's log ends:\n" + "".join((self.home / "server.log").read_text().splitlines(True)[-10:])


def _ready() -> bool:
    try:
        return httpx.get(f"{ENDPOINT}/readyz", trust_env=False, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def _gone(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
