"""One machine of a lab: systemd as its first process, sshd, a disk and an address of its own."""

import os
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import cgroup, containers, network
from .command import LabError

SUPERVISOR = Path(__file__).with_name("supervise.sh")


@dataclass(frozen=True)
class LabHost:
    """A machine named `name` at `address` in the lab `lab`, kept in `directory`; perhaps with `containers` in it."""

    name: str
    address: str
    lab: str
    namespace: str
    directory: Path
    containers: bool = False

    @property
    def root(self) -> Path:
        """The machine's root file system, readable and writable whether it runs or not."""
        return self.directory / "root"

    @property
    def console(self) -> Path:
        """What the machine printed on its console, and systemd-nspawn's own complaints."""
        return self.directory / "console.log"

    @property
    def machine(self) -> str:
        """The name systemd-nspawn knows it by, the only one of it on this computer."""
        return f"{self.lab}-{self.name}"

    @property
    def group(self) -> str:
        return f"{self.lab}/{self.name}"

    def boot_id(self) -> str | None:
        """Return the running kernel's boot id as the machine itself sees it; None while it is off."""
        leader = self._leader()
        if leader is None:
            return None
        try:
            return Path(f"/proc/{leader}/root/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:  # went down just now
            return None

    def boots(self) -> list[str]:
        """Return the boot ids the machine recorded on its own disk, oldest first. Works while it is off, too."""
        record = self.root / "var/log/boots"
        return [line.split()[0] for line in record.read_text().splitlines()] if record.exists() else []

    def running(self) -> bool:
        """Tell whether the machine has power. A machine in the middle of a reboot has."""
        return bool(cgroup.processes(self.group))

    def run(self, argv: Sequence[str], **kwargs: Any) -> subprocess.CompletedProcess[Any]:
        """Run `argv` as root in the machine, by its console as it were: no network and no sshd takes part."""
        leader = self._leader()
        if leader is None:
            raise LabError(f"{self.name} of lab {self.lab} is off: power it on first")
        return subprocess.run(["nsenter", f"--target={leader}", "--all", *argv], **{"check": True, **kwargs})

    def cut(self) -> None:
        """Pull the network cable. It stays out over reboots."""
        network.plug(self.namespace, self.name, connected=False)

    def mend(self) -> None:
        """Put the network cable back."""
        network.plug(self.namespace, self.name, connected=True)

    def freeze(self) -> None:
        """Stop every process of the machine: its kernel still answers on the network, nothing else does."""
        cgroup.freeze(f"{self.group}/machine", frozen=True)

    def thaw(self) -> None:
        """Let the machine's processes go on."""
        cgroup.freeze(f"{self.group}/machine", frozen=False)

    def power_off(self) -> None:
        """Pull the plug: no shutdown, everything not on the disk is lost. No error when it is off already."""
        if not self.running():
            return
        cgroup.kill(f"{self.group}/supervisor")
        cgroup.kill(f"{self.group}/machine")

    def power_on(self) -> None:
        """Start the machine; it boots in its own time (see wait_for_ssh). No error when it is on already."""
        if self.running():
            return
        supervisor = cgroup.create(f"{self.group}/supervisor")
        machine = cgroup.create(f"{self.group}/machine", cgroup.CONTAINERS if self.containers else ())
        command = ["systemd-nspawn", "--quiet", "--boot", f"--directory={self.root}", f"--machine={self.machine}"]
        command += ["--register=no", "--keep-unit", "--settings=no", "--console=pipe", "--link-journal=no"]
        command += [f"--hostname={self.name}", "--resolv-conf=off", "--timezone=off"]
        command += [f"--network-bridge={network.switch(self.name)}"]
        environment = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
        if self.containers:
            command += containers.options(self)
            environment |= containers.ENVIRONMENT
        argv = [
            *network.enter(self.namespace),
            "sh",
            str(SUPERVISOR),
            f"vb-{self.machine}",
            *map(str, supervisor),
            "--",
        ]
        argv += [*map(str, machine), "--"]
        # setsid --fork: the machine belongs to nobody who could take it along when they leave.
        with self.console.open("ab") as console:
            subprocess.run(
                ["setsid", "--fork", *argv, *command],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=environment,
                cwd="/",
                check=True,
            )
        deadline = time.monotonic() + 10
        while not self.running():
            if time.monotonic() > deadline:
                raise LabError(f"{self.name} of lab {self.lab} does not start: see {self.console}")
            time.sleep(0.002)

    def fill_disk(self) -> None:
        """Leave no byte free on the machine's disk."""
        path = self.root / "var/lab-filler"
        with path.open("wb") as filler:
            for block in (1 << 20, 1 << 12):
                with suppress(OSError):
                    while True:
                        os.posix_fallocate(filler.fileno(), os.fstat(filler.fileno()).st_size, block)

    def free_disk(self) -> None:
        """Undo fill_disk."""
        (self.root / "var/lab-filler").unlink(missing_ok=True)

    def wait_for_ssh(self, timeout_seconds: float = 30) -> float:
        """Wait until sshd greets; return the seconds it took. LabError with the console's end if not."""
        started = time.monotonic()
        if not network.inside(self.namespace, _greeted, self.address, started + timeout_seconds):
            tail = self.console.read_text(errors="replace")[-500:] if self.console.exists() else ""
            message = f"{self.name} of lab {self.lab} does not answer ssh within {timeout_seconds:g} s"
            raise LabError(f"{message}; {self.console} ends: {tail.strip()}")
        return time.monotonic() - started

    def wait_until_running(self, timeout_seconds: float = 30) -> str:
        """Wait until systemd has started everything; return its word: running, or degraded, maintenance ..."""
        try:
            done = self.run(
                ["systemctl", "is-system-running", "--wait"],
                check=False,
                capture_output=True,
                text=True,
                timeout=timeout_seconds,
            )
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{self.name} of lab {self.lab} is still starting after {timeout_seconds:g} s") from error
        return str(done.stdout).strip()

    def _leader(self) -> int | None:
        """Return the id, on this computer, of the machine's first process; None while it is off."""
        for pid in cgroup.processes(f"{self.group}/machine"):
            with suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                numbers = status.partition("\nNSpid:")[2].partition("\n")[0].split()
                if len(numbers) == 2 and numbers[-1] == "1":  # more numbers has the first process of a container in it
                    return pid
        return None


def _greeted(address: str, deadline: float) -> bool:
    while (left := deadline - time.monotonic()) > 0:
        try:
            with socket.create_connection((address, 22), timeout=min(left, 0.5)) as connection:
                if connection.recv(4) == b"SSH-":
                    return True
        except OSError:
            pass
        time.sleep(0.02)
    return False
