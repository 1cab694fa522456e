# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The dialect of OpenStack's XenAPI hosts: what a guest agent that speaks it can be asked."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from ansible_collections.commissaire.fleet.plugins.module_utils.guest_agent import GuestError, GuestRefused
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_key_exchange import KeyExchange, KeyExchangeError

if TYPE_CHECKING:
    from typing import Protocol

    class Messages(Protocol):
        """What carries the requests and replies."""

        def exchange(self, request: dict[str, Any], seconds: float) -> str:
            """Return the agent's reply, a JSON object. Raise GuestError."""


NETWORK_SECONDS = 60
"""How long resetnetwork may take at least: bringing interfaces up takes its time."""
CONTENT_LIMIT = "by xenstore a file can't go in pieces; reach the guest by another transport, or let it fetch the file"


class NovaGuest:
    """One guest, asked in this dialect."""

    dialect = "nova"

    def __init__(self, channel: Messages, timeout_seconds: float) -> None:
        self.channel = channel
        self._timeout_seconds = timeout_seconds

    def ask(self, name: str, value: Any = "", seconds: float | None = None, good: str = "0") -> str:
        """Return the message of a reply with the good returncode. Raise GuestError, GuestRefused for another."""
        request = {"name": name, "value": value}
        told = self.channel.exchange(request, self._timeout_seconds if seconds is None else seconds)
        try:
            reply = json.loads(told, strict=False)
            code, message = str(reply["returncode"]), str(reply["message"])
        except (ValueError, KeyError, TypeError) as error:
            raise GuestError(f"its guest agent's reply to {name} can't be read: {error!r}") from error
        if code != good:
            raise GuestRefused(name, f"{message or 'it says no more'} ({code})")
        return message.strip()

    def version(self) -> str:
        """Return which version the agent has."""
        return self.ask("version", "agent")

    def features(self) -> list[str]:
        """Return what the agent can do; nothing of one that does not know the question."""
        try:
            return sorted(name.strip() for name in self.ask("features").split(",") if name.strip())
        except GuestRefused:
            return []

    def describe(self) -> dict[str, Any]:
        """Return what the dialect can tell of a guest, with None for everything else."""
        agent = {"name": None, "version": self.version(), "dialect": self.dialect, "features": self.features()}
        unknown = ("hostname", "os", "boot_id", "addresses", "interfaces", "host_keys")
        return {"agent": agent, **dict.fromkeys(unknown)}

    def set_password(self, password: str) -> None:
        """Set root's password."""
        exchange = KeyExchange()
        try:
            public = self.ask("keyinit", exchange.public, good="D0")
            self.ask("password", exchange.encrypt(password, public))
        except KeyExchangeError as error:
            raise GuestError(str(error)) from error

    def write(self, path: str, content: bytes, check_mode: bool = False) -> None:
        """Let a file have this content. Raise GuestError, which names the limit, where that is too large.

        With `check_mode` it is only looked whether that could be.
        """
        request = self._injection(path, content)
        room = getattr(self.channel, "room", None)
        if room is not None and room(request) < 0:
            largest = largest_content(path, room({**request, "value": ""}), request["name"])
            limit = f"no more than {largest} fit" if largest > 0 else "its path alone is too long"
            raise GuestError(f"{len(content)} bytes are too many for {path}: {limit}; {CONTENT_LIMIT}")
        if not check_mode:
            self.ask(request["name"], request["value"])

    def _injection(self, path: str, content: bytes) -> dict[str, Any]:
        """Return the request that writes a file, in the newer form where the agent knows it."""
        encoded_path = path.encode("utf-8", "surrogateescape")
        if "file_inject" in self.features():
            value: Any = {"b64_path": _base64(encoded_path), "b64_file": _base64(content)}
            return {"name": "file_inject", "value": value}
        if "," in path:
            raise GuestError("its guest agent knows injectfile only, which takes no path with a comma; choose another")
        return {"name": "injectfile", "value": _base64(encoded_path + b"," + content)}

    def reset_network(self) -> None:
        """Let the guest have the network that vm-data tells of."""
        self.ask("resetnetwork", seconds=max(self._timeout_seconds, NETWORK_SECONDS))


def largest_content(path: str, room: int, name: str) -> int:
    """Return how many bytes of content fit into a request that has `room` bytes for its value beside the quotes."""
    length = len(path.encode("utf-8", "surrogateescape"))
    if name == "injectfile":
        return room // 4 * 3 - length - 1
    shell = len(json.dumps({"b64_path": _base64(b"x" * length), "b64_file": ""}, separators=(",", ":")))
    return (room + 2 - shell) // 4 * 3  # an object needs no quotes around it


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
