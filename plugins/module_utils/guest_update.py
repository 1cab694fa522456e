# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a guest's agent is told to replace itself, in both dialects."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Any

from ansible_collections.commissaire.fleet.plugins.module_utils.guest_agent import GuestError
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_file import Wanted
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_qemu import UPDATE
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_qemu_file import QemuFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.commissaire.fleet.plugins.module_utils.guest_nova import NovaGuest
    from ansible_collections.commissaire.fleet.plugins.module_utils.guest_qemu import QemuGuest

PLACE = "/var/tmp/commissaire-guest.update"  # noqa: S108  a link there is replaced, not followed
"""One name for all: an agent that allows no commands can't remove it again."""
SECONDS = 120
"""How long fetching and trying a program may take at least."""


def version_of(guest: QemuGuest | NovaGuest) -> str:
    """Return the version of Commissaire's agent. Raise GuestError for another one."""
    if guest.dialect == "nova":
        return str(guest.version())  # type: ignore[operator]
    if not guest.is_ours():  # type: ignore[union-attr]
        raise GuestError(
            f"its agent is qemu-guest-agent {guest.version}, which its distribution updates; "
            "the role guest_agent puts Commissaire's into a machine"
        )
    return str(guest.version)


def refusal(guest: QemuGuest | NovaGuest, given: Mapping[str, Any]) -> str:
    """Return why an update can't be asked for with these parameters; empty when it can."""
    if guest.dialect == "nova":
        if not given["url"] or not given["md5"]:
            return "in the dialect nova the agent fetches its program: give url and md5"
        if "," in given["url"]:
            return "in the dialect nova a url has no comma; choose another"
        return "in the dialect nova there is no signature; leave it out" if given["signature"] else ""
    if given["url"] and not (given["md5"] or given["sha256"]):
        return "give the digest of what is at url, sha256 or md5"
    return "" if given["url"] or given["src"] else "give url and a digest, or src"


def update(guest: QemuGuest | NovaGuest, given: Mapping[str, Any], program: bytes | None, seconds: float) -> None:
    """Let the agent take another program: what is at `url`, or this one. Raise GuestError."""
    seconds = max(seconds, SECONDS)
    if guest.dialect == "nova":
        guest.ask("agentupdate", f"{given['url']},{given['md5'].lower()}", seconds)  # type: ignore[arg-type]
        return
    if given["url"]:
        what = {name: given[name] for name in ("url", "md5", "sha256", "signature")}
        _ask(guest, what, seconds)
        return
    content = program or b""
    files = QemuFiles(guest)  # type: ignore[arg-type]
    files.apply(PLACE, Wanted(content, "0600"), None)
    try:
        digest = hashlib.sha256(content).hexdigest()
        _ask(guest, {"url": f"file://{PLACE}", "sha256": digest, "signature": given["signature"]}, seconds)
    finally:
        with contextlib.suppress(GuestError):
            files.remove(PLACE)


def _ask(guest: Any, what: Mapping[str, Any], seconds: float) -> None:
    guest.require(UPDATE)
    guest.agent.ask_patiently(seconds, UPDATE, **what)
