"""What a hypervisor tells of a machine's guest agent before anybody asks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from commissaire.machines.machine import owner_in, state_of

PORT = "org.qemu.guest_agent.0"
"""The virtio port at which libvirt asks guest agents."""


@dataclass(frozen=True)
class GuestPort:
    """A machine's way to its agent: its `owner`, its `state` in virsh's words, and its `port`.

    The port is `connected`, `disconnected` (no agent has it open), `unknown` or `none`; `uuid` is the machine's.
    """

    owner: str
    state: str
    port: str
    uuid: str = ""


def read_port(domain: Any) -> GuestPort:
    """Return what is known of *domain* (libvirt's) just now."""
    xml = domain.XMLDesc(0)
    return GuestPort(owner_in(xml), state_of(domain), port_in(xml), domain.UUIDString())


def port_in(xml: str) -> str:
    """Return the state of the port that a domain has for an agent, by its XML."""
    targets = ElementTree.fromstring(xml).iterfind("devices/channel/target")  # noqa: S314  libvirt's own
    states = [target.get("state") or "unknown" for target in targets if target.get("name") == PORT]
    return states[0] if states else "none"
