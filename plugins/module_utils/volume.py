# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A volume of a storage pool: its XML (https://libvirt.org/formatstorage.html) and its content."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = 1024 * 1024
GIB = 1024**3
MIB = 1024**2
EXTENT_BYTES = 4 * MIB
"""To so much sizes are rounded up where a pool is a volume group; less is no difference."""


@dataclass(frozen=True)
class Volume:
    """A volume; `backing` is the path of the one that it is a copy on write of."""

    name: str
    path: str
    capacity_bytes: int
    allocation_bytes: int
    format: str
    backing: str = ""

    def facts(self, pool: str) -> dict[str, Any]:
        """Return what there is to tell of it."""
        return {
            "pool": pool,
            "name": self.name,
            "path": self.path,
            "size_gb": round(self.capacity_bytes / GIB, 3),
            "allocated_gb": round(self.allocation_bytes / GIB, 3),
            "format": self.format,
            "backing": self.backing or None,
        }


def read_volume(xml: str) -> Volume:
    """Return what the XML of a volume says; libvirt tells sizes in bytes."""
    root = ET.fromstring(xml)  # noqa: S314  libvirt's own, which has no entities and names nothing to fetch
    kind = root.find("target/format")
    return Volume(
        root.findtext("name") or "",
        root.findtext("target/path") or "",
        int(root.findtext("capacity") or 0),
        int(root.findtext("allocation") or 0),
        (kind.get("type") or "raw") if kind is not None else "raw",
        root.findtext("backingStore/path") or "",
    )


def volume_xml(name: str, capacity_bytes: int, kind: str, backing: Volume | None = None) -> str:
    """Return the XML of a new volume, which takes room when it is written to only."""
    root = ET.Element("volume")
    ET.SubElement(root, "name").text = name
    ET.SubElement(root, "capacity", unit="bytes").text = str(capacity_bytes)
    ET.SubElement(root, "allocation", unit="bytes").text = "0"
    ET.SubElement(ET.SubElement(root, "target"), "format", type=kind)
    if backing:
        store = ET.SubElement(root, "backingStore")
        ET.SubElement(store, "path").text = backing.path
        ET.SubElement(store, "format", type=backing.format)
    return ET.tostring(root, encoding="unicode")


def capacity_of(size_gb: float) -> int:
    """Return how many bytes that is, in whole MiB."""
    return -(-int(size_gb * GIB) // MIB) * MIB


def plan_capacity(before: Volume, size_gb: float | None) -> int | None:
    """Return to how many bytes a volume grows; None when it stays. Raise ValueError when it would shrink."""
    if size_gb is None or abs(capacity_of(size_gb) - before.capacity_bytes) < EXTENT_BYTES:
        return None
    wanted = capacity_of(size_gb)
    if wanted < before.capacity_bytes:
        raise ValueError(
            f"it has {before.capacity_bytes / GIB:g} GiB and is not shrunk to {size_gb:g}, which would destroy what is "
            "on it; make a new one"
        )
    return wanted


def upload(connection: Any, volume: Any, source: Path) -> None:
    """Let a volume of libvirt's begin with what is in a file."""
    stream = connection.newStream(0)
    try:
        volume.upload(stream, 0, source.stat().st_size)
        with source.open("rb") as file:
            stream.sendAll(lambda _stream, size, _opaque: file.read(min(size, CHUNK)), None)
        stream.finish()
    except BaseException:
        stream.abort()
        raise


def content(volume: Any, most: int) -> bytes:
    """Return what is in a volume of libvirt's, but not more than `most` bytes."""
    stream = volume.connect().newStream(0)
    found = bytearray()
    volume.download(stream, 0, most)
    stream.recvAll(lambda _stream, data, _opaque: found.extend(data), None)
    stream.finish()
    return bytes(found)
