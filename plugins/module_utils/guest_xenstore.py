# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The requests to a guest agent, and its replies, by way of xenstore, as hosts of OpenStack's XenAPI driver do it.

A request is the node data/host/ID of the domain, the reply data/guest/ID. Nobody removes a reply but who has read it,
and a domain has no more than 1000 nodes, so what an interrupted run of ours has left there is removed, too.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

from ansible_collections.commissaire.fleet.plugins.module_utils.guest_agent import GuestError
from ansible_collections.commissaire.fleet.plugins.module_utils.xenstore import MOST_BYTES, Xenstore, XenstoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

OURS = "commissaire-"
STALE_SECONDS = 3600
"""After so long nobody waits for a reply any more."""
_NETWORKING = "networking/"


class XenstoreMessages:
    """The xenstore of one domain; `value_limit` is how many bytes a value may have, None for as many as fit."""

    def __init__(self, store: Xenstore, domid: int, value_limit: int | None = None) -> None:
        self._store = store
        self._home = f"/local/domain/{domid}"
        self._value_limit = value_limit

    def exchange(self, request: dict[str, Any], seconds: float) -> str:
        """Return the agent's reply to a request, and leave nothing of both. Raise GuestError, XenstoreError."""
        ident = f"{OURS}{int(time.time()):x}-{secrets.token_hex(6)}"
        asked, replied = f"{self._home}/data/host/{ident}", f"{self._home}/data/guest/{ident}"
        value = json.dumps(request, separators=(",", ":")).encode()
        self._check(asked, value)
        deadline = time.monotonic() + seconds
        self._remove_stale()
        self._store.watch(replied, ident)
        try:
            self._store.write(asked, value)
            while self._store.wait(deadline) is not None:
                reply = self._store.read(replied)
                if reply is not None:
                    return reply.decode(errors="replace")
            taken = self._store.read(asked) is None
        finally:
            with contextlib.suppress(XenstoreError):
                self._store.unwatch(replied, ident)
            for path in (asked, replied):
                with contextlib.suppress(XenstoreError):
                    self._store.remove(path)
        name = request.get("name", "")
        if taken:
            raise GuestError(f"its guest agent has taken {name}, and not replied within {seconds:g} s; see its log")
        raise GuestError(
            f"its guest agent has not taken {name} within {seconds:g} s; is one running within the domain, "
            "and is it the nova dialect's by xenstore?"
        )

    def room(self, request: dict[str, Any]) -> int:
        """Return how many bytes more than these a request may have; negative when it is too large."""
        path = f"{self._home}/data/host/{OURS}{int(time.time()):x}-{'0' * 12}"
        return self._limit(path) - len(json.dumps(request, separators=(",", ":")).encode())

    def vm_data(self) -> dict[str, str]:
        """Return what the domain's vm-data has for the network: `hostname`, and `networking/MAC` each."""
        told: dict[str, str] = self._store.transaction(self._vm_data)
        return told

    def write_vm_data(self, wanted: Mapping[str, str]) -> None:
        """Let vm-data say this of the network, and nothing else of it; all of it at once."""
        for name, value in wanted.items():
            self._check(f"{self._home}/vm-data/{name}", value.encode())

        def work() -> None:
            present = self._vm_data()
            for name in present.keys() - wanted.keys():
                self._store.remove(f"{self._home}/vm-data/{name}")
            for name, value in wanted.items():
                if present.get(name) != value:
                    self._store.write(f"{self._home}/vm-data/{name}", value.encode())

        self._store.transaction(work)

    def close(self) -> None:
        """Close the connection to xenstored."""
        self._store.close()

    def _vm_data(self) -> dict[str, str]:
        base = f"{self._home}/vm-data"
        names = ["hostname", *(_NETWORKING + name for name in self._store.list(f"{base}/networking"))]
        found = {name: self._store.read(f"{base}/{name}") for name in names}
        return {name: value.decode(errors="replace") for name, value in found.items() if value is not None}

    def _limit(self, path: str) -> int:
        room = MOST_BYTES - len(path.encode()) - 1
        return room if self._value_limit is None else min(room, self._value_limit)

    def _check(self, path: str, value: bytes) -> None:
        limit = self._limit(path)
        if len(value) > limit:
            raise GuestError(f"a message of {len(value)} bytes is too large for xenstore, which takes {limit} here")

    def _remove_stale(self) -> None:
        for folder in ("host", "guest"):
            for name in self._store.list(f"{self._home}/data/{folder}"):
                if _is_stale(name):
                    self._store.remove(f"{self._home}/data/{folder}/{name}")


def domain_number(store: Xenstore, name: str | None, domid: int | None) -> int:
    """Return the number of the domain that is meant, which is there. Raise GuestError."""
    if domid is not None:
        if store.read(f"/local/domain/{domid}") is None:
            raise GuestError("there is no such domain; xl list tells which there are")
        return domid
    present = store.list("/local/domain")
    wanted = (name or "").encode()
    found = [each for each in present if each.isdigit() and store.read(f"/local/domain/{each}/name") == wanted]
    if len(found) != 1:
        why = "several domains have this name; give domid" if found else "there is no such domain"
        raise GuestError(f"{why}; xl list tells which there are")
    return int(found[0])


def _is_stale(name: str) -> bool:
    parts = name[len(OURS) :].split("-")
    try:
        return name.startswith(OURS) and int(parts[0], 16) < time.time() - STALE_SECONDS
    except ValueError:
        return False
