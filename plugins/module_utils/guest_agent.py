# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the QEMU guest agent of a machine answers, by way of libvirt.

See https://www.qemu.org/docs/master/interop/qemu-ga-ref.html
"""

from __future__ import annotations

import base64
import ipaddress
import json
from typing import Any

from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor import libvirt

TIMEOUT_SECONDS = 5
MOST_BYTES = 65536
KEYS = ("ed25519", "ecdsa", "rsa")
"""The kinds of keys that are looked for, by their file's name, the best first."""


class GuestError(Exception):
    """The agent does not answer, or not what was asked; the message says why."""


class GuestAgent:
    """The agent of one machine."""

    def __init__(self, domain: Any) -> None:
        self._domain = domain

    def describe(self) -> dict[str, Any]:
        """Return the machine's `hostname`, `boot_id`, `addresses` and `host_keys`. Raise GuestError."""
        keys = (self._read_if_there(f"/etc/ssh/ssh_host_{kind}_key.pub") for kind in KEYS)
        return {
            "hostname": str(self.ask("guest-get-host-name").get("host-name", "")),
            "boot_id": self.read("/proc/sys/kernel/random/boot_id").strip(),
            "addresses": addresses(self.ask("guest-network-get-interfaces")),
            "host_keys": [" ".join(key.split()[:2]) for key in keys if len(key.split()) >= 2],
        }

    def ask(self, command: str, **arguments: Any) -> Any:
        """Return what the agent answers. Raise GuestError when it doesn't, or answers with an error."""
        question = json.dumps({"execute": command, **({"arguments": arguments} if arguments else {})})
        try:
            return json.loads(self._command(question))["return"]
        except libvirt.libvirtError as error:
            raise GuestError(f"its guest agent does not answer {command}: {error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise GuestError(f"its guest agent's answer to {command} can't be read: {error}") from error

    def read(self, path: str) -> str:
        """Return what is in a small file of the machine's. Raise GuestError."""
        handle = self.ask("guest-file-open", path=path, mode="r")
        try:
            answer = self.ask("guest-file-read", handle=handle, count=MOST_BYTES)
        finally:
            self.ask("guest-file-close", handle=handle)
        try:
            return base64.b64decode(answer["buf-b64"]).decode()
        except (ValueError, KeyError, TypeError) as error:
            raise GuestError(f"its guest agent's answer of {path} can't be read: {error}") from error

    def _read_if_there(self, path: str) -> str:
        try:
            return self.read(path)
        except GuestError:
            return ""

    def _command(self, question: str) -> str:
        import libvirt_qemu

        return str(libvirt_qemu.qemuAgentCommand(self._domain, question, TIMEOUT_SECONDS, 0))


def addresses(interfaces: Any) -> list[str]:
    """Return the addresses by which others can reach a machine, of what its agent tells of its interfaces."""
    found = []
    for interface in interfaces if isinstance(interfaces, list) else ():
        for each in interface.get("ip-addresses", ()):
            try:
                address = ipaddress.ip_address(str(each.get("ip-address")))
            except ValueError:
                continue
            if not (address.is_loopback or address.is_link_local or address.is_unspecified):
                found.append(address)
    return [str(address) for address in sorted(found, key=lambda address: address.version)]
