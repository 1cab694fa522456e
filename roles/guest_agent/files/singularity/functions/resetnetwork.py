"""resetnetwork: set up the network that the hypervisor left in vm-data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singularity import network

if TYPE_CHECKING:
    from singularity.guest import Guest

NAME = "resetnetwork"
ITEM = "network"


def answer(value: Any, guest: Guest, channel: Any) -> str:
    """Read vm-data from the channel and set up what it tells. The value says nothing."""
    network.reset(guest, channel.read_vm_data())
    return ""


def apply(guest: Guest) -> None:
    """Set up once more what was set up last."""
    kept = guest.cache.read(ITEM, {})
    if isinstance(kept, dict):
        network.reset(guest, kept)
