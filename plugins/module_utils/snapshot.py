# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A snapshot of a machine: what its XML says, and that of a new one (https://libvirt.org/formatsnapshot.html)."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any


@dataclass(frozen=True)
class Snapshot:
    """A snapshot; `state` is the machine's then, `created` in seconds since the epoch."""

    name: str
    description: str
    state: str
    created: int
    current: bool = False

    def facts(self) -> dict[str, Any]:
        """Return what there is to tell of it."""
        moment = datetime.fromtimestamp(self.created, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "name": self.name,
            "description": self.description,
            "state": self.state,
            "created": moment if self.created else None,
            "current": self.current,
        }


def read_snapshot(xml: str, *, current: bool) -> Snapshot:
    """Return what the XML of a snapshot says, and whether it is the one that the machine goes on from."""
    root = ET.fromstring(xml)  # noqa: S314  libvirt's own, which has no entities and names nothing to fetch
    return Snapshot(
        root.findtext("name") or "",
        root.findtext("description") or "",
        root.findtext("state") or "",
        int(root.findtext("creationTime") or 0),
        current,
    )


def observe(snapshot: Any) -> Snapshot | None:
    """Read a snapshot of libvirt's; None when there is none."""
    return None if snapshot is None else read_snapshot(snapshot.getXMLDesc(0), current=bool(snapshot.isCurrent(0)))


def snapshot_xml(name: str, description: str) -> str:
    """Return the XML of a new snapshot, of all that the machine has."""
    root = ET.Element("domainsnapshot")
    ET.SubElement(root, "name").text = name
    if description:
        ET.SubElement(root, "description").text = description
    return ET.tostring(root, encoding="unicode")
