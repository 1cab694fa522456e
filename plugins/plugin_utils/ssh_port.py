# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell cheaply whether an sshd answers, before a whole ssh is spent on it."""

from __future__ import annotations

import shlex
import socket
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine import Machine


@dataclass(frozen=True)
class SshPort:
    """An address this controller can connect to itself."""

    host: str
    port: int

    def complaint(self, seconds: float) -> str:
        """Return why no sshd greets us here within `seconds`, in ssh's manner; empty when one does."""
        where = f"connect to host {self.host} port {self.port}"
        try:
            with socket.create_connection((self.host, self.port), timeout=seconds) as connection:
                return "" if connection.recv(4) == b"SSH-" else f"{where}: no SSH greeting"
        except socket.timeout:
            return f"{where}: Connection timed out"
        except OSError as error:
            return f"{where}: {error.strerror or error}"


def ssh_port(machine: Machine) -> SshPort | None:
    """Return where the connection leads, as ssh itself resolves it, or None when that is not for us to connect to.

    Not ours: other connection plugins, and ssh through a ProxyJump or ProxyCommand.
    """
    if machine.transport not in ("ssh", "smart"):
        return None
    command = [machine.option("ssh_executable"), "-G"]
    for name in ("ssh_args", "ssh_common_args", "ssh_extra_args"):
        command += shlex.split(machine.option(name) or "")
    if machine.option("port"):
        command += ["-p", str(machine.option("port"))]
    try:
        done = subprocess.run([*command, machine.option("host")], capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return read_configuration(done.stdout)


def read_configuration(text: str) -> SshPort | None:
    """Read the output of `ssh -G` (ssh(1)): lines of a lower-case keyword and its value."""
    settings = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
    proxied = any(settings.get(name, "none") != "none" for name in ("proxyjump", "proxycommand"))
    if proxied or "hostname" not in settings:
        return None
    return SshPort(settings["hostname"], int(settings.get("port", "22")))
