"""A network of virtual machines, as its hypervisor tells of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from commissaire.machines.link import bindings


@dataclass(frozen=True)
class VirtualNetwork:
    """One network."""

    name: str
    uuid: str
    active: bool
    autostart: bool
    persistent: bool
    bridge: str


def list_networks(connection: Any) -> list[VirtualNetwork]:
    """Return all networks of a hypervisor."""
    return [_read(network) for network in connection.listAllNetworks()]


def find_network(connection: Any, name: str) -> VirtualNetwork | None:
    """Return the network of that name; None when there is none."""
    if not name or "\0" in name:
        return None
    libvirt = bindings()
    try:
        return _read(connection.networkLookupByName(name))
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_NETWORK:
            return None
        raise


def _read(network: Any) -> VirtualNetwork:
    try:
        bridge = network.bridgeName() if network.isActive() else ""
    except bindings().libvirtError:  # its machines are ports of another kind
        bridge = ""
    return VirtualNetwork(
        name=network.name(),
        uuid=network.UUIDString(),
        active=bool(network.isActive()),
        autostart=bool(network.isPersistent() and network.autostart()),
        persistent=bool(network.isPersistent()),
        bridge=bridge,
    )
