# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A libvirt domain as it is: what is defined, what runs, and what the running one lacks of its definition."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor import HypervisorError, found
from ansible_collections.commissaire.fleet.plugins.module_utils.virtual_machine import (
    COLD,
    Disk,
    Interface,
    VirtualMachine,
    read_machine,
)
from ansible_collections.commissaire.fleet.plugins.module_utils.volume import read_volume

if TYPE_CHECKING:
    from collections.abc import Iterable

INACTIVE = 2  # VIR_DOMAIN_XML_INACTIVE
STATES = ("no state", "running", "idle", "paused", "in shutdown", "shut off", "crashed", "pmsuspended")
"""As virsh prints them, by virDomainState."""
OFF = ("shut off", "crashed", "no state")


@dataclass(frozen=True)
class Domain:
    """A machine of a hypervisor. `needs_power_cycle` names what of its definition the running one does not have."""

    name: str
    uuid: str
    state: str
    autostart: bool
    defined: VirtualMachine
    needs_power_cycle: list[str] = field(default_factory=list)
    volumes: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By path the pool and the name, of disks that are defined by their path."""
    live: VirtualMachine | None = None
    """What runs, where that is something else than what is defined."""
    virt_type: str = ""
    """By what it is run, as `kvm`."""

    @property
    def plugged_as_defined(self) -> bool:
        """Whether a running machine has all devices of its definition, and no others."""
        if self.live is None:
            return True
        return set(devices(self.live)) == set(devices(self.defined))

    @property
    def disks(self) -> tuple[Disk, ...]:
        """Its disks, by pool and volume wherever they are in one."""
        return tuple(self._in_pool(disk) for disk in self.defined.disks)

    def as_defined(self, disk: Disk) -> Disk:
        """Return a disk as the definition has it, which may be by its path."""
        return next((one for one in self.defined.disks if self._in_pool(one) == disk), disk)

    @property
    def active(self) -> bool:
        """Whether it is powered on."""
        return self.state not in OFF

    @classmethod
    def planned(
        cls,
        name: str,
        before: Domain | None,
        defined: VirtualMachine | None,
        runs: bool,
        autostart: bool | None,
        cold: list[str],
        virt_type: str = "",
    ) -> Domain:
        """Return what `before` would be with another definition, power state or autostart."""
        state = "running" if runs else "shut off"
        if before is None:
            return cls(name, "", state, bool(autostart), defined or VirtualMachine(0), cold, virt_type=virt_type)
        starts = before.autostart if autostart is None else autostart
        return replace(before, defined=defined or before.defined, state=state, autostart=starts, needs_power_cycle=cold)

    def facts(self) -> dict[str, Any]:
        """Return what there is to tell of it."""
        own = {"name": self.name, "uuid": self.uuid, "state": self.state, "autostart": self.autostart}
        own["virt_type"] = self.virt_type
        told = replace(self.defined, disks=self.disks).facts()
        return {**own, **told, "needs_power_cycle": self.needs_power_cycle}

    def _in_pool(self, disk: Disk) -> Disk:
        if disk.pool or disk.volume not in self.volumes:
            return disk
        pool, name = self.volumes[disk.volume]
        return replace(disk, pool=pool, volume=name)


def observe(connection: Any, domain: Any) -> Domain | None:
    """Read a domain of libvirt's; None when there is none."""
    if domain is None:
        return None
    state = STATES[domain.state()[0]]
    xml = domain.XMLDesc(INACTIVE)
    defined = read_machine(xml)
    virt_type = ET.fromstring(xml).get("type") or ""  # noqa: S314  libvirt's own
    pending: list[str] = []
    live = None
    if domain.isActive() and domain.isPersistent():
        live = read_machine(domain.XMLDesc(0))
        pending = [name for name in COLD if getattr(live, name) != getattr(defined, name)]
        if defined.cpu == "host-model" and not live.cpu:  # libvirt tells which one that has become
            pending = [name for name in pending if name != "cpu"]
    autostart = bool(domain.autostart()) if domain.isPersistent() else False
    volumes = _volumes(connection, defined.disks)
    return Domain(domain.name(), domain.UUIDString(), state, autostart, defined, pending, volumes, live, virt_type)


def devices(machine: VirtualMachine) -> tuple[Disk | Interface, ...]:
    """Return what can be attached to a machine while it runs, and detached."""
    return (*machine.disks, *machine.interfaces)


def check_unused(connection: Any, volumes: Iterable[tuple[str, str]], but: str = "") -> None:
    """See that nobody needs these volumes (pool and name) but the machine `but`.

    Raise HypervisorError when another machine has one as a disk, or another volume is a copy on write of one.
    """
    wanted = set(volumes)
    users = []
    for domain in connection.listAllDomains():
        other = observe(connection, domain)
        if other and other.name != but:
            users += [f"{disk.volume} by machine {other.name}" for disk in other.disks if disk.where in wanted]
    present = {
        (pool.name(), volume.name()): read_volume(volume.XMLDesc(0))
        for pool in (connection.listAllStoragePools() if wanted else ())
        if pool.isActive()
        for volume in pool.listAllVolumes()
    }
    paths = {one.path: where for where, one in present.items() if where in wanted}
    users += [
        f"{paths[one.backing][1]} by volume {one.name}, which is a copy of it"
        for where, one in present.items()
        if one.backing in paths and where not in wanted
    ]
    if users:
        raise HypervisorError(f"nothing is removed, for others need it: {', '.join(sorted(users))}")


def remove_volumes(connection: Any, disks: Iterable[Disk]) -> None:
    """Remove the volumes of disks, wherever there are some."""
    for disk in disks:
        pool = found(connection.storagePoolLookupByName, disk.pool) if disk.pool and disk.device == "disk" else None
        volume = found(pool.storageVolLookupByName, disk.volume) if pool is not None else None
        if volume is not None:
            volume.delete()


def _volumes(connection: Any, disks: Iterable[Disk]) -> dict[str, tuple[str, str]]:
    """Return which volumes of which pools the disks are that are told by their path."""
    by_path = {}
    for disk in disks:
        volume = found(connection.storageVolLookupByPath, disk.volume) if not disk.pool and disk.volume else None
        if volume is not None:
            by_path[disk.volume] = (volume.storagePoolLookupByVolume().name(), volume.name())
    return by_path
