# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A libvirt network as it is: what is defined, and what is live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.commissaire.fleet.plugins.module_utils.virtual_network import VirtualNetwork, read_network

INACTIVE = 1  # VIR_NETWORK_XML_INACTIVE


@dataclass(frozen=True)
class Present:
    """A network as it is: what is `defined`, what is `live` (None when it is not active)."""

    uuid: str
    defined: VirtualNetwork
    live: VirtualNetwork | None
    autostart: bool

    def facts(self, name: str) -> dict[str, Any]:
        """Return what there is to tell of it."""
        own = {"name": name, "uuid": self.uuid, "active": self.live is not None, "autostart": self.autostart}
        return {**own, **self.defined.facts()}


def observe(network: Any) -> Present | None:
    """Read a network of libvirt's; None when there is none."""
    if network is None:
        return None
    defined = network.XMLDesc(INACTIVE if network.isPersistent() else 0)
    live = read_network(network.XMLDesc(0)) if network.isActive() else None
    return Present(network.UUIDString(), read_network(defined), live, bool(network.autostart()))
