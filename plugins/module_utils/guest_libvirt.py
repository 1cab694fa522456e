# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The guest agent's lines by way of libvirt: virDomainQemuAgentCommand, which talks to the channel of a machine."""

from __future__ import annotations

import math
import re
import time
import xml.etree.ElementTree as ET
from typing import Any

from ansible_collections.commissaire.fleet.plugins.module_utils import hypervisor
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_agent import GuestError, GuestRefused
from ansible_collections.commissaire.fleet.plugins.module_utils.virtual_machine import AGENT

MOST_BYTES = 192 * 1024
"""Of a message. One that the buffer of QEMU's socket (net.core.wmem_default, 208 KiB) can't hold at once libvirt begins
anew again and again, and no agent understands any more: 218,000 bytes arrived (libvirt 9.0), 240,000 did not."""
SIGN_SECONDS = 5.0
_NO_SIGN = "not available for now"
_REFUSAL = re.compile(r"unable to execute QEMU agent command '([\w-]+)': (.*)", re.DOTALL)


class LibvirtLines:
    """The channel of one domain of libvirt's."""

    def __init__(self, domain: Any) -> None:
        self._domain = domain

    def exchange(self, question: str, seconds: float) -> str:
        """Return the agent's answer. Raise GuestError, also GuestRefused for what libvirt has read of an answer."""
        import libvirt_qemu  # it comes with libvirt

        if len(question) > MOST_BYTES:
            raise GuestError(f"a message of {len(question)} bytes is too large for libvirt, which takes {MOST_BYTES}")
        patience = max(1, math.ceil(seconds))
        deadline = time.monotonic() + patience
        while True:
            begun = time.monotonic()
            try:
                return str(libvirt_qemu.qemuAgentCommand(self._domain, question, patience, 0))
            except hypervisor.libvirt.libvirtError as error:
                refused = _REFUSAL.search(str(error))
                if refused:
                    raise GuestRefused(refused[1], refused[2]) from error
                ended = time.monotonic()
                if not _is_unasked(error, ended - begun, patience) or ended > deadline:
                    raise GuestError(f"its guest agent does not answer: {error}; {self._next_step()}") from error

    def _next_step(self) -> str:
        try:
            active, definition = self._domain.isActive(), self._domain.XMLDesc(0)
        except hypervisor.libvirt.libvirtError:
            return "the machine is gone meanwhile"
        return next_step(bool(active), definition)


def _is_unasked(error: Exception, seconds: float, patience: int) -> bool:
    """Return whether an agent that is slow has not even been given the question, so that it can be asked once more.

    libvirt first waits 5 s for a sign of the agent, then as long as it was told to for the answer, and calls both the
    same. What has failed in between was the sign.
    """
    return _NO_SIGN in str(error) and SIGN_SECONDS - 1 < seconds < min(patience, SIGN_SECONDS + 3)


def machine(connection: Any, name: str, uuid: str | None = None) -> Any:
    """Return the domain of a machine that runs and has a channel for an agent. Raise GuestError.

    With `uuid` it is refused when another machine is called so by now.
    """
    domain = hypervisor.found(connection.lookupByName, name)
    if domain is None:
        raise GuestError("there is no such machine; vm_info tells which there are")
    if uuid and domain.UUIDString() != uuid.lower():
        raise GuestError(f"another machine is called so: its UUID is {domain.UUIDString()}, not {uuid}")
    active, definition = bool(domain.isActive()), domain.XMLDesc(0)
    if not active or not has_channel(definition):
        raise GuestError(f"its guest agent can't be asked: {next_step(active, definition)}")
    return domain


def has_channel(definition: str) -> bool:
    """Return whether a domain's XML has the channel that a guest agent listens on."""
    return _channel(definition) is not None


def next_step(active: bool, definition: str) -> str:
    """Return what is to be done, that the agent of a machine answers."""
    if not active:
        return "the machine is off; start it"
    channel = _channel(definition)
    if channel is None:
        return f"it has no channel {AGENT}; give it one (module vm, guest_agent: true), then stop and start it"
    if channel.get("state") == "disconnected":
        return "no agent is connected; start qemu-guest-agent or commissaire-guest within the machine"
    return "see within the machine what its agent is doing, or give it more time (timeout_seconds)"


def _channel(definition: str) -> Any:
    root = ET.fromstring(definition)  # noqa: S314  libvirt's own, which has no entities and names nothing to fetch
    return next((each for each in root.findall("devices/channel/target") if each.get("name") == AGENT), None)
