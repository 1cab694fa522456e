# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A libvirt domain: what its XML says, and the XML of one that is wanted (https://libvirt.org/formatdomain.html).

Without any I/O. Machines are as alike physical ones as possible: disks are SCSI, and there is a serial console.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass, replace
from typing import Any

NAMESPACE = "https://commissaire.example.org/xmlns/domain/1"
"""Of our element in a domain's metadata. It is a name, and nothing is to be found there."""
ET.register_namespace("commissaire", NAMESPACE)
AGENT = "org.qemu.guest_agent.0"
CPUS = ("host-passthrough", "host-model", "maximum")
"""Modes that can be asked for; any other is the emulator's default, or somebody's own."""
COLD = ("memory_mb", "vcpus", "firmware", "boot", "guest_agent", "graphics", "cpu")
"""What a machine gets when it is started, and at no other time."""


@dataclass(frozen=True)
class Disk:
    """A volume of a storage pool, as one of the machine's disks; `device` is disk or cdrom, `format` qcow2 or raw."""

    pool: str
    volume: str
    device: str = "disk"
    format: str = "qcow2"

    @property
    def where(self) -> tuple[str, str]:
        """Its pool and its name there."""
        return self.pool, self.volume


@dataclass(frozen=True)
class Interface:
    """A port on a network; without `mac` libvirt makes one."""

    network: str
    mac: str = ""
    model: str = "virtio"


@dataclass(frozen=True)
class VirtualMachine:
    """What there is to say of a machine. `boot` are libvirt's names of devices in their order: hd, network, cdrom."""

    memory_mb: int
    vcpus: int = 1
    firmware: str = "bios"
    cpu: str = ""
    boot: tuple[str, ...] = ("hd",)
    disks: tuple[Disk, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    guest_agent: bool = True
    graphics: str = "vnc"
    owner: str = ""

    def facts(self) -> dict[str, Any]:
        """Return them as modules tell of them."""
        told = asdict(self)
        told["boot"] = list(self.boot)
        told["disks"] = [asdict(disk) for disk in self.disks]
        told["networks"] = told.pop("interfaces")
        told["owner"] = self.owner or None
        return told


@dataclass(frozen=True)
class MachinePlan:
    """How a machine becomes what it is to be. `cold` is what a running one gets at its next start only."""

    define: VirtualMachine | None = None
    cold: tuple[str, ...] = ()
    owner: bool = False
    changed: tuple[str, ...] = ()


def plan_machine(before: VirtualMachine | None, wanted: dict[str, Any]) -> MachinePlan:
    """Plan what `wanted` (fields of VirtualMachine, those that are not None) makes of `before`.

    Raise ValueError for a new machine without memory_mb.
    """
    given = {name: value for name, value in wanted.items() if value is not None}
    if before is None:
        if "memory_mb" not in given:
            raise ValueError("a new machine needs memory_mb")
        after = VirtualMachine(**given)
        return MachinePlan(define=after, changed=tuple(sorted(given)))
    if "interfaces" in given:
        given["interfaces"] = _with_known_macs(before.interfaces, given["interfaces"])
    for name in ("disks", "interfaces"):
        if name in given and set(given[name]) == set(getattr(before, name)):
            given[name] = getattr(before, name)  # which is first was decided when it was made
    after = replace(before, **given)
    changed = tuple(name for name in sorted(given) if getattr(before, name) != getattr(after, name))
    return MachinePlan(
        define=after if changed else None,
        cold=tuple(name for name in changed if name in COLD),
        owner="owner" in changed,
        changed=changed,
    )


def read_machine(xml: str) -> VirtualMachine:
    """Return what the XML of a domain says. Disks that are no volumes of a pool have their path as `volume`."""
    root = ET.fromstring(xml)  # noqa: S314  libvirt's own, which has no entities and names nothing to fetch
    memory, system, loader = _child(root, "memory"), _child(root, "os"), root.find("os/loader")
    kib = {"KiB": 1, "MiB": 1024, "GiB": 1024 * 1024, "b": 1 / 1024}
    uefi = system.get("firmware") == "efi" or (loader is not None and loader.get("type") == "pflash")
    cpu = root.find("cpu")
    mode = (cpu.get("mode") or "") if cpu is not None else ""
    owner = root.find(f"metadata/{{{NAMESPACE}}}owner")
    graphics = root.find("devices/graphics")
    channels = [channel.get("name") for channel in root.findall("devices/channel/target")]
    return VirtualMachine(
        memory_mb=int(float(memory.text or 0) * kib[memory.get("unit", "KiB")] / 1024),
        vcpus=int(root.findtext("vcpu") or 1),
        firmware="uefi" if uefi else "bios",
        cpu=mode if mode in CPUS else "",
        boot=tuple(boot.get("dev") or "" for boot in system.findall("boot")),
        disks=tuple(_read_disk(disk) for disk in root.findall("devices/disk")),
        interfaces=tuple(
            _read_interface(interface) for interface in root.findall("devices/interface") if _network_of(interface)
        ),
        guest_agent=AGENT in channels,
        graphics=(graphics.get("type") or "") if graphics is not None else "none",
        owner=(owner.text or "") if owner is not None else "",
    )


def machine_xml(name: str, machine: VirtualMachine, virt_type: str) -> str:
    """Return the XML that defines a new `machine` as a domain of `virt_type`: kvm or qemu."""
    root = ET.Element("domain", type=virt_type)
    ET.SubElement(root, "name").text = name
    ET.SubElement(root, "memory")
    ET.SubElement(root, "vcpu")
    system = ET.SubElement(root, "os")
    ET.SubElement(system, "type", machine="q35").text = "hvm"
    ET.SubElement(system, "bios", useserial="yes")
    features = ET.SubElement(root, "features")
    for feature in ("acpi", "apic"):
        ET.SubElement(features, feature)
    ET.SubElement(root, "clock", offset="utc")
    for event, action in (("poweroff", "destroy"), ("reboot", "restart"), ("crash", "destroy")):
        ET.SubElement(root, f"on_{event}").text = action
    devices = ET.SubElement(root, "devices")
    ET.SubElement(devices, "controller", type="scsi", index="0", model="virtio-scsi")
    ET.SubElement(ET.SubElement(devices, "serial", type="pty"), "target", port="0")
    ET.SubElement(ET.SubElement(devices, "console", type="pty"), "target", type="serial", port="0")
    rng = ET.SubElement(devices, "rng", model="virtio")
    ET.SubElement(rng, "backend", model="random").text = "/dev/urandom"
    _edit(root, VirtualMachine(0, boot=(), guest_agent=False, graphics="none"), machine)
    return ET.tostring(root, encoding="unicode")


def changed_xml(xml: str, before: VirtualMachine, after: VirtualMachine) -> str:
    """Return the XML of a domain with what is other in `after`; everything else in it stays as somebody made it."""
    root = ET.fromstring(xml)  # noqa: S314  libvirt's own, as in read_machine
    _edit(root, before, after)
    return ET.tostring(root, encoding="unicode")


def _edit(root: ET.Element, before: VirtualMachine, after: VirtualMachine) -> None:
    system, devices = _child(root, "os"), _child(root, "devices")
    if after.memory_mb != before.memory_mb:
        memory = _child(root, "memory")
        memory.text = str(after.memory_mb)
        memory.set("unit", "MiB")
        _remove(root, "currentMemory")
    if after.vcpus != before.vcpus or not _child(root, "vcpu").text:
        _remove(root, "vcpu")
        ET.SubElement(root, "vcpu").text = str(after.vcpus)
    if after.firmware != before.firmware:
        for name in ("loader", "nvram", "firmware"):
            _remove(system, name)
        system.attrib.pop("firmware", None)
        if after.firmware == "uefi":
            system.set("firmware", "efi")
    if after.cpu != before.cpu:
        _remove(root, "cpu")
        if after.cpu:
            ET.SubElement(root, "cpu", mode=after.cpu)
    if after.boot != before.boot:
        _remove(system, "boot")
        for device in after.boot:
            ET.SubElement(system, "boot", dev=device)
    if after.owner != before.owner:
        metadata = _child(root, "metadata")
        _remove(metadata, f"{{{NAMESPACE}}}owner")
        if after.owner:
            ET.SubElement(metadata, f"{{{NAMESPACE}}}owner").text = after.owner
    if after.guest_agent and not before.guest_agent:
        channel = ET.SubElement(devices, "channel", type="unix")
        ET.SubElement(channel, "target", type="virtio", name=AGENT)
    elif before.guest_agent and not after.guest_agent:
        for channel in devices.findall("channel"):
            if any(target.get("name") == AGENT for target in channel.findall("target")):
                devices.remove(channel)
    if after.graphics != before.graphics:
        for name in ("graphics", "video"):
            _remove(devices, name)
        if after.graphics != "none":
            ET.SubElement(devices, "graphics", type=after.graphics, autoport="yes", listen="127.0.0.1")
            ET.SubElement(ET.SubElement(devices, "video"), "model", type="vga")
    _edit_devices(devices, before, after)


def _edit_devices(devices: ET.Element, before: VirtualMachine, after: VirtualMachine) -> None:
    for element in devices.findall("disk"):
        if _read_disk(element) not in after.disks:
            devices.remove(element)
    for element in devices.findall("interface"):
        if _network_of(element) and _read_interface(element) not in after.interfaces:
            devices.remove(element)
    names = {element.get("dev") for element in devices.findall("disk/target")}
    for disk in after.disks:
        if disk not in before.disks:
            name = next(target(number) for number in range(len(names) + 1) if target(number) not in names)
            names.add(name)
            devices.append(disk_element(disk, name))
    for interface in after.interfaces:
        if interface not in before.interfaces:
            devices.append(interface_element(interface))


def _child(parent: ET.Element, name: str) -> ET.Element:
    child = parent.find(name)
    return ET.SubElement(parent, name) if child is None else child


def _remove(parent: ET.Element, name: str) -> None:
    for child in parent.findall(name):
        parent.remove(child)


def device_xml(xml: str, device: Disk | Interface) -> str:
    """Return the element of a device in the XML of a domain, as attaching it to the running one takes it."""
    root = ET.fromstring(xml)  # noqa: S314  libvirt's own, as in read_machine
    kind, read = ("disk", _read_disk) if isinstance(device, Disk) else ("interface", _read_interface)
    for element in root.findall(f"devices/{kind}"):
        if read(element) == device:
            return ET.tostring(element, encoding="unicode")
    raise ValueError(f"there is no {device} in the domain")


def disk_element(disk: Disk, name: str) -> ET.Element:
    """Return the element of a disk that the machine knows as `name`, such as sda."""
    element = ET.Element("disk", type="volume", device=disk.device)
    ET.SubElement(element, "driver", name="qemu", type=disk.format, discard="unmap")
    ET.SubElement(element, "source", pool=disk.pool, volume=disk.volume)
    ET.SubElement(element, "target", dev=name, bus="scsi")
    if disk.device == "cdrom":
        ET.SubElement(element, "readonly")
    return element


def interface_element(interface: Interface) -> ET.Element:
    """Return the element of a port on a network."""
    element = ET.Element("interface", type="network")
    if interface.mac:
        ET.SubElement(element, "mac", address=interface.mac)
    ET.SubElement(element, "source", network=interface.network)
    ET.SubElement(element, "model", type=interface.model)
    return element


def target(number: int) -> str:
    """Return the name of the disk with that number: sda to sdz, then sdaa."""
    letters = ""
    while number >= 0:
        letters = chr(ord("a") + number % 26) + letters
        number = number // 26 - 1
    return f"sd{letters}"


def _read_disk(disk: ET.Element) -> Disk:
    source = disk.find("source")
    device = disk.get("device") or "disk"
    driver = disk.find("driver")
    kind = (driver.get("type") or "raw") if driver is not None else "raw"
    if source is None:
        return Disk("", "", device, kind)
    path = source.get("file") or source.get("dev") or ""
    return Disk(source.get("pool") or "", source.get("volume") or path, device, kind)


def _network_of(interface: ET.Element) -> str:
    """Return the network that a port is on; "" for none. Of a running machine its type is what the network made it."""
    source = interface.find("source")
    return (source.get("network") or "") if source is not None else ""


def _read_interface(interface: ET.Element) -> Interface:
    mac, model = interface.find("mac"), interface.find("model")
    return Interface(
        _network_of(interface),
        (mac.get("address") or "") if mac is not None else "",
        (model.get("type") or "") if model is not None else "",
    )


def _with_known_macs(present: tuple[Interface, ...], wanted: tuple[Interface, ...]) -> tuple[Interface, ...]:
    """Give ports that are wanted without an address those of the ports that are there, in their order."""
    left = [interface for interface in present if interface not in wanted]
    found = []
    for interface in wanted:
        same = next((one for one in left if replace(one, mac="") == interface), None)
        if same is not None:
            left.remove(same)
        found.append(same or interface)
    return tuple(found)
