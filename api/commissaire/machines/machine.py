"""A virtual machine, as its hypervisor tells of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from commissaire.machines.link import bindings

STATES = ("no state", "running", "idle", "paused", "in shutdown", "shut off", "crashed", "pmsuspended")
"""What `virsh list` calls the values of virDomainState, in their order."""
OFF = ("shut off", "crashed", "no state")
NAMESPACE = "https://commissaire.example.org/xmlns/domain/1"


@dataclass(frozen=True)
class Machine:
    """One machine. `id` is libvirt's, None when it is off; memory is in KiB."""

    name: str
    uuid: str
    id: int | None
    state: str
    owner: str
    hypervisor: str
    memory_kb: int
    vcpus: int
    autostart: bool
    networks: list[str]


def read_machine(domain: Any, hypervisor: str) -> Machine:
    """Return what *domain* (libvirt's) is like just now."""
    xml = domain.XMLDesc(0)
    state, _, memory_kb, vcpus, _ = domain.info()
    number = domain.ID()
    return Machine(
        name=domain.name(),
        uuid=domain.UUIDString(),
        id=None if number < 0 else number,
        state=_told(state),
        owner=owner_in(xml),
        hypervisor=hypervisor,
        memory_kb=memory_kb,
        vcpus=vcpus,
        autostart=bool(domain.isPersistent() and domain.autostart()),
        networks=networks_in(xml),
    )


def list_machines(connection: Any, hypervisor: str) -> list[Machine]:
    """Return all machines of a hypervisor. Those that vanish meanwhile are left out."""
    libvirt = bindings()
    found = []
    for domain in connection.listAllDomains():
        try:
            found.append(read_machine(domain, hypervisor))
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
    return found


def find_domain(connection: Any, name: str) -> Any:
    """Return libvirt's domain of that name; None when there is none."""
    if not name or "\0" in name:
        return None
    libvirt = bindings()
    try:
        return connection.lookupByName(name)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise


def state_of(domain: Any) -> str:
    """Return the state of a domain of libvirt's, one of `STATES`."""
    return _told(domain.state(0)[0])


def owner_in(xml: str) -> str:
    """Return whose a domain is by its XML; "" for nobody's."""
    return ElementTree.fromstring(xml).findtext(f"metadata/{{{NAMESPACE}}}owner") or ""  # noqa: S314  libvirt's own


def networks_in(xml: str) -> list[str]:
    """Return the networks that a domain has ports on, by its XML."""
    ports = ElementTree.fromstring(xml).iterfind("devices/interface/source")  # noqa: S314  libvirt's own
    return [name for port in ports if (name := port.get("network"))]


def _told(state: int) -> str:
    return STATES[state] if state < len(STATES) else STATES[0]
