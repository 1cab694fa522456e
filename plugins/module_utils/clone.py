# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The definition of a copy of a machine, without any I/O."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def copied_disks(xml: str, name: str) -> dict[str, str]:
    """Return what the volumes of a copy called `name` are called, by the disks' names in the machine, such as sda."""
    root = ET.fromstring(xml)  # noqa: S314  libvirt's own, which has no entities and names nothing to fetch
    return {device: f"{name}-{device}" for device, _ in _disks(root)}


def clone_xml(xml: str, name: str, volumes: Mapping[str, tuple[str, str, str]]) -> str:
    """Return the XML of a copy: another name, UUID and addresses, and `volumes` by the disks' names.

    A volume is its pool, its name and its format.

    What libvirt makes anew for each machine is left out, such as its NVRAM and its sockets. CDs stay what they are.
    """
    root = ET.fromstring(xml)  # noqa: S314  libvirt's own, as above
    for child in root.findall("name"):
        child.text = name
    for child in root.findall("uuid"):
        root.remove(child)
    for disk, element in _disks(root):
        pool, volume, kind = volumes[disk]
        element.set("type", "volume")
        for source in element.findall("source"):
            element.remove(source)
        ET.SubElement(element, "source", pool=pool, volume=volume)
        for driver in element.findall("driver"):
            driver.set("type", kind)
        for store in element.findall("backingStore"):
            element.remove(store)
    for parent, child in (
        ("os", "nvram"),
        ("devices/interface", "mac"),
        ("devices/interface", "target"),
        ("devices/channel", "source"),
    ):
        for element in root.findall(parent):
            for unwanted in element.findall(child):
                element.remove(unwanted)
    return ET.tostring(root, encoding="unicode")


def _disks(root: ET.Element) -> list[tuple[str, ET.Element]]:
    found = []
    for element in root.findall("devices/disk"):
        target = element.find("target")
        if element.get("device", "disk") == "disk" and target is not None:
            found.append((target.get("dev") or "", element))
    return found
