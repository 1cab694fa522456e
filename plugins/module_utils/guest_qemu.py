# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The QEMU guest agent's dialect: what any agent that speaks it can be asked, and Commissaire's own beside it."""

from __future__ import annotations

import base64
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.commissaire.fleet.plugins.module_utils.guest_agent import (
    GuestAgent,
    GuestError,
    GuestRefused,
    addresses,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.commissaire.fleet.plugins.module_utils.guest_agent import Lines

OWN = "commissaire-"
"""How the commands begin that only Commissaire's agent knows."""
RESET_NETWORK, UPDATE, INJECT_FILE = f"{OWN}reset-network", f"{OWN}agent-update", f"{OWN}inject-file"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What a command is given beside an environment, which else would have nothing but that."""
SLOWEST_LOOK_SECONDS = 0.5
ALLOW = (
    "allow it there: qemu-guest-agent's block-rpcs or allow-rpcs (/etc/qemu/qemu-ga.conf, /etc/sysconfig/qemu-ga), "
    "or functions and block_commands of commissaire-guest (/etc/singularity/singularity.conf)"
)


@dataclass(frozen=True)
class Ended:
    """A command that has ended within the guest. A signal is told as shells do, as 128 and its number."""

    rc: int
    stdout: bytes
    stderr: bytes
    truncated: bool = False


class QemuGuest:
    """One guest, asked in this dialect."""

    dialect = "qemu"

    def __init__(self, lines: Lines, timeout_seconds: float) -> None:
        self.agent = GuestAgent(lines, timeout_seconds)
        self._timeout_seconds = timeout_seconds
        self._known: dict[str, bool] | None = None
        self.version = ""

    def commands(self) -> dict[str, bool]:
        """Return what the agent knows, and whether it may be asked for it."""
        if self._known is None:
            told = self.agent.ask("guest-info")
            try:
                self.version = str(told["version"])
                self._known = {str(each["name"]): bool(each["enabled"]) for each in told["supported_commands"]}
            except (KeyError, TypeError) as error:
                raise GuestError(f"its guest agent's answer to guest-info can't be read: {error!r}") from error
        return self._known

    def can(self, command: str) -> bool:
        """Return whether the agent can be asked for this."""
        return self.commands().get(command, False)

    def is_ours(self) -> bool:
        """Return whether the agent is Commissaire's."""
        return any(name.startswith(OWN) for name in self.commands())

    def require(self, command: str) -> None:
        """Raise GuestError, which says what to do, for a command that the agent can't be asked for."""
        if not self.can(command):
            known = command in self.commands()
            raise GuestError(f"its guest agent {'has blocked' if known else 'does not know'} {command}; {ALLOW}")

    def ask(self, command: str, **arguments: Any) -> Any:
        """Return what the agent answers. Raise GuestError, also for a command that it can't be asked for."""
        self.require(command)
        return self.agent.ask(command, **arguments)

    def describe(self) -> dict[str, Any]:
        """Return what the agent tells of the guest; None for what it does not want to, or can't."""
        features = sorted(name for name, enabled in self.commands().items() if enabled)
        name = "commissaire-guest" if self.is_ours() else "qemu-guest-agent"
        interfaces = self._told("guest-network-get-interfaces")
        return {
            "agent": {"name": name, "version": self.version, "dialect": self.dialect, "features": features},
            "hostname": (self._told("guest-get-host-name") or {}).get("host-name"),
            "os": self._told("guest-get-osinfo"),
            "boot_id": self._boot_id(),
            "addresses": None if interfaces is None else addresses(interfaces),
            "interfaces": None if interfaces is None else [_interface(each) for each in interfaces],
            "host_keys": self.agent.host_keys() if self.can("guest-file-open") else None,
        }

    def set_password(self, user: str, password: str, crypted: bool) -> None:
        """Set a user's password, or its hash."""
        encoded = base64.b64encode(password.encode()).decode()
        self.ask("guest-set-user-password", username=user, password=encoded, crypted=crypted)

    def run(
        self,
        argv: Sequence[str],
        stdin: bytes | None = None,
        environment: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
    ) -> Ended:
        """Return how a command has ended. Raise GuestError for one that takes longer, which is then ended."""
        seconds = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        variables = (
            [f"{name}={value}" for name, value in {"PATH": PATH, **environment}.items()] if environment else None
        )
        data = None if stdin is None else base64.b64encode(stdin).decode()
        told = self.ask(
            "guest-exec", path=argv[0], arg=list(argv[1:]), env=variables, input_data=data, capture_output=True
        )
        deadline, pause = time.monotonic() + seconds, 0.01
        while True:
            status = self.agent.ask("guest-exec-status", pid=told["pid"])
            if status.get("exited"):
                return _ended(status)
            if time.monotonic() > deadline:
                self._end(told["pid"])
                raise GuestError(f"{argv[0]} takes longer than {seconds:g} s within the machine; it was ended")
            time.sleep(min(pause, max(0.0, deadline - time.monotonic()) + 0.01))
            pause = min(pause * 1.5, SLOWEST_LOOK_SECONDS)  # the dialect has nothing that waits

    def shell(self, script: str, *arguments: str, stdin: bytes | None = None, seconds: float | None = None) -> Ended:
        """Run a POSIX shell's script."""
        return self.run(["/bin/sh", "-c", script, "sh", *arguments], stdin, None, seconds)

    def demand(self, script: str, *arguments: str, what: str) -> str:
        """Return what a script prints. Raise GuestError, with `what` it was to do, when it fails."""
        ended = self.shell(script, *arguments)
        if ended.rc:
            why = ended.stderr.decode(errors="replace").strip() or f"it ended with {ended.rc}"
            raise GuestError(f"{what}: {why}")
        return ended.stdout.decode("utf-8", "surrogateescape")

    def _end(self, pid: int) -> None:
        with contextlib.suppress(GuestError):
            self.agent.ask("guest-exec", path="/bin/sh", arg=["-c", f"kill -KILL {int(pid)}"])

    def _told(self, command: str) -> Any:
        try:
            return self.agent.ask(command) if self.can(command) else None
        except GuestRefused:
            return None

    def _boot_id(self) -> str | None:
        try:
            return self.agent.boot_id() if self.can("guest-file-open") else None
        except GuestRefused:
            return None


def _ended(status: Mapping[str, Any]) -> Ended:
    rc = status["exitcode"] if "exitcode" in status else 128 + status.get("signal", 0)
    output = [base64.b64decode(status.get(name, "")) for name in ("out-data", "err-data")]
    return Ended(rc, *output, bool(status.get("out-truncated") or status.get("err-truncated")))


def _interface(told: Mapping[str, Any]) -> dict[str, Any]:
    known = [{"address": one.get("ip-address"), "prefix": one.get("prefix")} for one in told.get("ip-addresses", ())]
    return {"name": told.get("name"), "mac": told.get("hardware-address"), "addresses": known}
