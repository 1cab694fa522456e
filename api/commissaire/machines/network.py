"""A network of virtual machines, as its hypervisor tells of it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Any
from xml.etree import ElementTree

from commissaire.machines.link import bindings


@dataclass(frozen=True)
class VirtualNetwork:
    """One network. `mode` is `nat`, `isolated`, `bridge`, `openvswitch`, or another of libvirt's forward modes."""

    name: str
    uuid: str
    active: bool
    autostart: bool
    persistent: bool
    bridge: str
    mode: str
    vlan: int | None
    addresses: list[str]


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
    told = ElementTree.fromstring(network.XMLDesc(0))  # noqa: S314  libvirt's own
    tag = told.find("vlan/tag")
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
        mode=_mode(told),
        vlan=None if tag is None else int(tag.get("id", 0)),
        addresses=[_address(element) for element in told.iterfind("ip")],
    )


def _mode(told: ElementTree.Element) -> str:
    forward, port = told.find("forward"), told.find("virtualport")
    if port is not None and port.get("type") == "openvswitch":
        return "openvswitch"
    return "isolated" if forward is None else forward.get("mode", "nat")


def _address(element: ElementTree.Element) -> str:
    """Return the hypervisor's own address in a network, with its prefix."""
    length = element.get("prefix") or element.get("netmask") or ""
    return str(ip_interface(f"{element.get('address')}/{length}" if length else f"{element.get('address')}"))
