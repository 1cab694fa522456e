"""Snapshots of a machine, by libvirt's own calls."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

from commissaire.fleet.errors import Conflict, NotFound
from commissaire.machines.link import bindings


@dataclass(frozen=True)
class Snapshot:
    """A snapshot; `state` is the machine's at that time, `parent` the snapshot it was taken after."""

    name: str
    state: str
    created_at: datetime
    parent: str
    current: bool
    description: str


def list_snapshots(domain: Any) -> list[Snapshot]:
    """Return a machine's snapshots, the oldest first."""
    found = [_read(snapshot) for snapshot in domain.listAllSnapshots(0)]
    return sorted(found, key=lambda snapshot: (snapshot.created_at, snapshot.name))


def create_snapshot(domain: Any, name: str, description: str) -> Snapshot:
    """Take a snapshot of a machine's disks, and of its memory when it runs.

    Raises:
        Conflict: there is one of that name, or the machine is of a kind or in a state that none can be taken of.
    """
    if name in domain.snapshotListNames(0):
        raise Conflict(f"machine {domain.name()} has a snapshot {name} already; delete it, or choose another name")
    element = ElementTree.Element("domainsnapshot")
    ElementTree.SubElement(element, "name").text = name
    ElementTree.SubElement(element, "description").text = description
    wanted = ElementTree.tostring(element, encoding="unicode")
    return _read(_unless_refused(domain, "take", lambda: domain.snapshotCreateXML(wanted, 0)))


def revert(domain: Any, name: str) -> None:
    """Bring a machine back into the state of a snapshot; what came after it is lost.

    Raises:
        NotFound: there is no such snapshot.
        Conflict: libvirt refuses it.
    """
    snapshot = _find(domain, name)
    _unless_refused(domain, "revert to", lambda: domain.revertToSnapshot(snapshot, 0))


def delete_snapshot(domain: Any, name: str) -> None:
    """Delete a snapshot; those taken after it stay.

    Raises:
        NotFound: there is no such snapshot.
        Conflict: libvirt refuses it.
    """
    snapshot = _find(domain, name)
    _unless_refused(domain, "delete", lambda: snapshot.delete(0))


def _find(domain: Any, name: str) -> Any:
    libvirt = bindings()
    try:
        return domain.snapshotLookupByName(name, 0)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT:
            raise NotFound(f"machine {domain.name()} has no snapshot {name}") from error
        raise


def _unless_refused(domain: Any, verb: str, call: Any) -> Any:
    libvirt = bindings()
    refusals = (
        libvirt.VIR_ERR_OPERATION_INVALID,
        libvirt.VIR_ERR_OPERATION_UNSUPPORTED,
        libvirt.VIR_ERR_CONFIG_UNSUPPORTED,
        libvirt.VIR_ERR_SNAPSHOT_REVERT_RISKY,
    )
    try:
        return call()
    except libvirt.libvirtError as error:
        if error.get_error_code() in refusals:
            raise Conflict(f"libvirt does not {verb} a snapshot of machine {domain.name()} now: {error}") from error
        raise


def _read(snapshot: Any) -> Snapshot:
    told = ElementTree.fromstring(snapshot.getXMLDesc(0))  # noqa: S314  libvirt's own
    return Snapshot(
        name=snapshot.getName(),
        state=told.findtext("state") or "",
        created_at=datetime.fromtimestamp(int(told.findtext("creationTime") or 0), UTC),
        parent=told.findtext("parent/name") or "",
        current=bool(snapshot.isCurrent(0)),
        description=told.findtext("description") or "",
    )
