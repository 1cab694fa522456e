# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the QEMU guest agent of a machine answers, by whatever carries its lines.

See https://www.qemu.org/docs/master/interop/qemu-ga-ref.html
"""

from __future__ import annotations

import base64
import ipaddress
import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    class Lines(Protocol):
        """What carries the lines of a QEMU guest agent."""

        def exchange(self, question: str, seconds: float) -> str:
            """Return the agent's answer, a JSON object. Raise GuestError."""


TIMEOUT_SECONDS = 5
TRANSFER_SECONDS = 600
"""So long a file may take, however many pieces its agent makes of it."""
PIECE_BYTES = 65536
"""So much of a file goes in one message: in base64 it is far below what libvirt and agents take."""
KEYS = ("ed25519", "ecdsa", "rsa")
"""The kinds of keys that are looked for, by their file's name, the best first."""


class GuestError(Exception):
    """The agent does not answer, or not what was asked; the message says why."""


class GuestRefused(GuestError):
    """The agent answers that it can't, or does not want to; `reason` is in its own words."""

    def __init__(self, command: str, reason: str) -> None:
        super().__init__(f"its guest agent refuses {command}: {reason}")
        self.reason = reason


class GuestAgent:
    """The agent of one machine."""

    def __init__(self, lines: Lines, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._lines = lines
        self._timeout_seconds = timeout_seconds

    def describe(self) -> dict[str, Any]:
        """Return the machine's `hostname`, `boot_id`, `addresses` and `host_keys`. Raise GuestError."""
        return {
            "hostname": str(self.ask("guest-get-host-name").get("host-name", "")),
            "boot_id": self.boot_id(),
            "addresses": addresses(self.ask("guest-network-get-interfaces")),
            "host_keys": self.host_keys(),
        }

    def boot_id(self) -> str:
        """Return the id of the machine's boot. Raise GuestError."""
        return self.read("/proc/sys/kernel/random/boot_id").strip()

    def host_keys(self) -> list[str]:
        """Return the public keys of the machine's SSH server, without comments."""
        keys = (self._read_if_there(f"/etc/ssh/ssh_host_{kind}_key.pub") for kind in KEYS)
        return [" ".join(key.split()[:2]) for key in keys if len(key.split()) >= 2]

    def ask(self, command: str, **arguments: Any) -> Any:
        """Return what the agent answers; `_` in an argument's name is `-`. Raise GuestError, or GuestRefused."""
        return self.ask_patiently(self._timeout_seconds, command, **arguments)

    def ask_patiently(self, seconds: float, command: str, **arguments: Any) -> Any:
        """Do so for what may take longer."""
        named = {name.replace("_", "-"): value for name, value in arguments.items() if value is not None}
        question = json.dumps({"execute": command, **({"arguments": named} if named else {})})
        answer = self._lines.exchange(question, seconds)
        try:
            told = json.loads(answer)
            if "error" in told:
                raise GuestRefused(command, str(told["error"]["desc"]))
            return told["return"]
        except (ValueError, KeyError, TypeError) as error:
            raise GuestError(f"its guest agent's answer to {command} can't be read: {error!r}") from error

    def read(self, path: str) -> str:
        """Return what is in a small text file of the machine's. Raise GuestError."""
        return next(self.pieces(path), b"").decode(errors="replace")

    def pieces(self, path: str) -> Iterator[bytes]:
        """Yield what is in a file of the machine's, piece by piece. Raise GuestError."""
        handle = self.ask("guest-file-open", path=path, mode="r")
        deadline = time.monotonic() + TRANSFER_SECONDS
        try:
            while True:
                _check_time(deadline, path)
                answer = self.ask("guest-file-read", handle=handle, count=PIECE_BYTES)
                try:
                    piece, ended = base64.b64decode(answer["buf-b64"]), answer["eof"]
                except (ValueError, KeyError, TypeError) as error:
                    raise GuestError(f"its guest agent's answer of {path} can't be read: {error!r}") from error
                if piece:
                    yield piece
                if ended or not piece:
                    return
        finally:
            self.ask("guest-file-close", handle=handle)

    def write(self, path: str, content: bytes) -> None:
        """Let a file of the machine's have this content, piece by piece; its mode stays. Raise GuestError."""
        handle = self.ask("guest-file-open", path=path, mode="w")
        deadline = time.monotonic() + TRANSFER_SECONDS
        try:
            for start in range(0, len(content), PIECE_BYTES):
                piece = content[start : start + PIECE_BYTES]
                while piece:
                    _check_time(deadline, path)
                    encoded = base64.b64encode(piece).decode()
                    answer = self.ask("guest-file-write", **{"handle": handle, "buf-b64": encoded})
                    count = answer.get("count", 0) if isinstance(answer, dict) else 0
                    if not isinstance(count, int) or count <= 0:
                        raise GuestError(f"its guest agent writes nothing more to {path}; is its disk full?")
                    piece = piece[count:]
            self.ask("guest-file-flush", handle=handle)
        finally:
            self.ask("guest-file-close", handle=handle)

    def _read_if_there(self, path: str) -> str:
        try:
            return self.read(path)
        except GuestError:
            return ""


def _check_time(deadline: float, path: str) -> None:
    if time.monotonic() > deadline:
        raise GuestError(f"the transfer of {path} takes longer than {TRANSFER_SECONDS} s; fetch or send it by ssh")


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
