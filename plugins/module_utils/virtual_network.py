# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A libvirt network: what its XML says, and the XML of one that is wanted (https://libvirt.org/formatnetwork.html).

Without any I/O.
"""

from __future__ import annotations

import ipaddress
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Any

MODES = ("nat", "isolated", "bridge", "openvswitch")
LARGEST_TAG = 4094


@dataclass(frozen=True)
class VirtualNetwork:
    """A network of one of the `MODES`; `address` is the hypervisor's own with its prefix, `dhcp` what it leases."""

    mode: str
    bridge: str = ""
    vlan: int = 0
    address: str = ""
    dhcp: tuple[str, str] | None = None
    domain: str = ""

    def facts(self) -> dict[str, Any]:
        """Return what there is to tell of it."""
        told: dict[str, Any] = {"mode": self.mode, "bridge": self.bridge or None, "vlan": self.vlan or None}
        dhcp = {"start": self.dhcp[0], "end": self.dhcp[1]} if self.dhcp else None
        return {**told, "address": self.address or None, "dhcp": dhcp, "domain": self.domain or None}


def wanted_network(
    mode: str,
    bridge: str = "",
    vlan: int = 0,
    address: str = "",
    dhcp: dict[str, str] | None = None,
    domain: str = "",
) -> VirtualNetwork:
    """Return the network that these parameters ask for. Raise ValueError when they don't go together."""
    if mode in ("bridge", "openvswitch") and not bridge:
        raise ValueError(f"a network of mode {mode} needs a bridge")
    if mode in ("bridge", "openvswitch") and (address or dhcp or domain):
        raise ValueError(f"address, dhcp and domain are not for mode {mode}: what is on its bridge has them")
    if bridge and mode not in ("bridge", "openvswitch"):
        raise ValueError(f"bridge is for modes bridge and openvswitch; a network of mode {mode} has its own")
    if vlan and mode != "openvswitch":
        raise ValueError(f"vlan is for mode openvswitch, not for {mode}")
    if not 0 <= vlan <= LARGEST_TAG:
        raise ValueError(f"vlan is a tag from 1 to {LARGEST_TAG}, not {vlan}")
    if mode == "nat" and not address:
        raise ValueError("a network of mode nat needs an address, as 192.168.100.1/24")
    if dhcp and not address:
        raise ValueError("dhcp needs an address, from whose network the leases are")
    own = _interface(address)
    leases = None
    if own and dhcp:
        leases = (_within(own, "start", dhcp["start"]), _within(own, "end", dhcp["end"]))
    return VirtualNetwork(mode, bridge, vlan, str(own) if own else "", leases, domain)


def read_network(xml: str) -> VirtualNetwork:
    """Return what the XML of a network says."""
    root = ET.fromstring(xml)  # noqa: S314  libvirt's own; ElementTree fetches nothing, and libvirt writes no entities
    forward, port = root.find("forward"), root.find("virtualport")
    mode = (forward.get("mode") or "nat") if forward is not None else "isolated"
    if port is not None and port.get("type") == "openvswitch":
        mode = "openvswitch"
    bridge = root.find("bridge")
    name = (bridge.get("name") or "") if bridge is not None and mode in ("bridge", "openvswitch") else ""
    tag, ip, domain = root.find("vlan/tag"), root.find("ip"), root.find("domain")
    lease = root.find("ip/dhcp/range")
    return VirtualNetwork(
        mode,
        name,
        int(tag.get("id") or 0) if tag is not None else 0,
        _address(ip) if ip is not None else "",
        (lease.get("start") or "", lease.get("end") or "") if lease is not None else None,
        (domain.get("name") or "") if domain is not None else "",
    )


def network_xml(name: str, network: VirtualNetwork, uuid: str = "") -> str:
    """Return the XML that defines `network`; with `uuid` it takes the place of that one."""
    root = ET.Element("network")
    ET.SubElement(root, "name").text = name
    if uuid:
        ET.SubElement(root, "uuid").text = uuid
    if network.mode != "isolated":
        ET.SubElement(root, "forward", mode="bridge" if network.bridge else network.mode)
    if network.bridge:
        ET.SubElement(root, "bridge", name=network.bridge)
    if network.mode == "openvswitch":
        ET.SubElement(root, "virtualport", type="openvswitch")
    if network.vlan:
        ET.SubElement(ET.SubElement(root, "vlan"), "tag", id=str(network.vlan))
    if network.domain:
        ET.SubElement(root, "domain", name=network.domain, localOnly="yes")
    if network.address:
        own = ipaddress.ip_interface(network.address)
        family = {"family": "ipv6"} if own.version == 6 else {}
        ip = ET.SubElement(root, "ip", address=str(own.ip), prefix=str(own.network.prefixlen), **family)
        if network.dhcp:
            ET.SubElement(ET.SubElement(ip, "dhcp"), "range", start=network.dhcp[0], end=network.dhcp[1])
    return ET.tostring(root, encoding="unicode")


def _interface(address: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface | None:
    if not address:
        return None
    if "/" not in address:
        raise ValueError(f"address {address} has no prefix: write it as {address}/24")
    return ipaddress.ip_interface(address)


def _within(own: ipaddress.IPv4Interface | ipaddress.IPv6Interface, what: str, address: str) -> str:
    found = ipaddress.ip_address(address)
    if found not in own.network:
        raise ValueError(f"dhcp.{what} {address} is not in {own.network}")
    return str(found)


def _address(ip: ET.Element) -> str:
    prefix = ip.get("prefix") or ip.get("netmask") or "24"
    return str(ipaddress.ip_interface(f"{ip.get('address')}/{prefix}"))
