"""All that a hypervisor tells of one machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from commissaire.machines.link import bindings
from commissaire.machines.machine import Machine, read_machine

_SOURCES = ("agent", "lease", "arp")
"""Who is asked for a machine's addresses, in this order: the guest itself, the network's DHCP, the hypervisor's ARP."""


@dataclass(frozen=True)
class Disk:
    """A disk; `source` is its file, device or volume, `size_bytes` None where that can't be told."""

    target: str
    device: str
    bus: str
    source: str
    size_bytes: int | None


@dataclass(frozen=True)
class Port:
    """A port on a network, or on a bridge of the hypervisor."""

    mac: str
    kind: str
    source: str
    model: str


@dataclass(frozen=True)
class Address:
    """An address, of whichever interface, and who told it."""

    address: str
    prefix: int
    mac: str
    told_by: str


@dataclass(frozen=True)
class Detail:
    """A machine with what belongs to it."""

    machine: Machine
    addresses: list[Address]
    disks: list[Disk]
    ports: list[Port]
    snapshots: list[str]


def read_detail(domain: Any, hypervisor: str) -> Detail:
    """Return what *domain* (libvirt's) is like just now."""
    devices = ElementTree.fromstring(domain.XMLDesc(0)).find("devices")  # noqa: S314  libvirt's own
    return Detail(
        machine=read_machine(domain, hypervisor),
        addresses=_addresses(domain),
        disks=[] if devices is None else [_disk(domain, element) for element in devices.iterfind("disk")],
        ports=[] if devices is None else [_port(element) for element in devices.iterfind("interface")],
        snapshots=sorted(domain.snapshotListNames(0)),
    )


def _addresses(domain: Any) -> list[Address]:
    """Return what the first of the sources that knows any tells; loopback's are nobody's."""
    libvirt = bindings()
    if not domain.isActive():
        return []
    for told_by in _SOURCES:
        source = getattr(libvirt, f"VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_{told_by.upper()}")
        try:
            interfaces = domain.interfaceAddresses(source, 0)
        except libvirt.libvirtError:  # no agent, no DHCP of libvirt's
            continue
        found = [
            Address(one["addr"], one["prefix"], interface.get("hwaddr") or "", told_by)
            for name, interface in interfaces.items()
            for one in interface.get("addrs") or []
            if name != "lo"
        ]
        if found:
            return found
    return []


def _disk(domain: Any, element: ElementTree.Element) -> Disk:
    source, target = element.find("source"), element.find("target")
    told = {} if source is None else source.attrib
    name = "" if target is None else target.get("dev", "")
    return Disk(
        target=name,
        device=element.get("device", "disk"),
        bus="" if target is None else target.get("bus", ""),
        source=next((told[key] for key in ("file", "dev", "volume", "name") if key in told), ""),
        size_bytes=_size(domain, name) if told else None,
    )


def _size(domain: Any, target: str) -> int | None:
    try:
        return int(domain.blockInfo(target, 0)[0])
    except bindings().libvirtError:  # its file is not there just now
        return None


def _port(element: ElementTree.Element) -> Port:
    source, mac, model = (element.find(tag) for tag in ("source", "mac", "model"))
    told = {} if source is None else source.attrib
    return Port(
        mac="" if mac is None else mac.get("address", ""),
        kind=element.get("type", ""),
        source=next((told[key] for key in ("network", "bridge", "dev") if key in told), ""),
        model="" if model is None else model.get("type", ""),
    )
