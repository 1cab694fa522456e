# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Define, start, stop and remove virtual machines."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vm
short_description: Define, start, stop and remove virtual machines on a hypervisor
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Defines a libvirt domain that is as alike a physical machine as possible. Its disks are SCSI (C(sda), C(sdb)), and
    it has a serial console and a channel for a guest agent.
  - Of a machine that is there, only what is given here is changed; everything else of its definition stays.
  - Disks, networks and the owner of a running machine change at once. Other things do when it is started next, and
    RV(needs_power_cycle) names them until then, unless O(power_cycle) allows to do that now.
  - Volumes are made by M(commissaire.fleet.vm_volume), networks by M(commissaire.fleet.vm_network).
extends_documentation_fragment:
  - commissaire.fleet.hypervisor
options:
  name:
    description: The machine's name.
    type: str
    required: true
  state:
    description:
      - V(present) is defined, whether it runs or not, V(running) runs, V(stopped) does not.
      - V(absent) is not defined, nor is what libvirt keeps for it, such as NVRAM.
    type: str
    choices: [present, running, stopped, absent]
    default: present
  memory_mb:
    description: Its memory, in MiB; required for a new machine.
    type: int
  vcpus:
    description: Its processors; of a new machine 1.
    type: int
  firmware:
    description: Its firmware; of a new machine V(bios).
    type: str
    choices: [bios, uefi]
  cpu:
    description: Which processor it sees, by libvirt's modes; of a new machine the emulator's default.
    type: str
    choices: [host-passthrough, host-model, maximum]
  boot:
    description: From which devices it boots, in that order; of a new machine V(hd).
    type: list
    elements: str
    choices: [hd, network, cdrom]
  disks:
    description:
      - All its disks. One that is left out is detached; its volume stays.
      - Their order is that of a new machine; in one that is there each keeps its place.
    type: list
    elements: dict
    suboptions:
      pool:
        description: The storage pool of the volume.
        type: str
        default: default
      volume:
        description: The volume's name.
        type: str
        required: true
      device:
        description: As what the machine sees it.
        type: str
        choices: [disk, cdrom]
        default: disk
      format:
        description: The volume's format.
        type: str
        choices: [qcow2, raw]
        default: qcow2
  networks:
    description: All networks that it has a port on, in the order of a new machine. One that is left out is detached.
    type: list
    elements: dict
    suboptions:
      network:
        description: The network's name.
        type: str
        required: true
      mac:
        description: The port's address; without it, that of a port that is there, or one of libvirt's making.
        type: str
        default: ""
      model:
        description: Which device the machine sees.
        type: str
        default: virtio
  guest_agent:
    description: Whether there is a channel for a guest agent; of a new machine, yes.
    type: bool
  graphics:
    description: How its picture can be seen, from the hypervisor itself only; of a new machine V(vnc).
    type: str
    choices: [vnc, spice, none]
  owner:
    description: Whose it is, which is kept in its metadata; empty for nobody's.
    type: str
  autostart:
    description: Whether it starts with the hypervisor; of a new machine, no.
    type: bool
  virt_type:
    description:
      - By what a new machine is run. V(auto) starts a small guest to see whether KVM works, which takes about a second,
        or ten where it doesn't; RV(vm.virt_type) tells what came of it.
    type: str
    choices: [auto, kvm, qemu]
    default: auto
  power_cycle:
    description: Whether a running machine is stopped and started where a change takes that.
    type: bool
    default: false
  stop_timeout_seconds:
    description: How long it may take to shut itself down when it is to stop.
    type: int
    default: 120
  force:
    description: Whether it is powered off when it does not shut itself down in that time.
    type: bool
    default: false
  remove_disks:
    description: Whether V(absent) removes the volumes of its disks, too; not those of a CD, nor of another machine.
    type: bool
    default: false
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: Tells the machine before and after.
    support: full
seealso:
  - module: commissaire.fleet.vm_info
  - module: commissaire.fleet.vm_volume
  - module: commissaire.fleet.vm_network
"""

EXAMPLES = r"""
- name: Run a machine
  commissaire.fleet.vm:
    name: ns.example.com
    state: running
    memory_mb: 512
    disks:
      - volume: ns.example.com-sda
    networks:
      - network: ns_example_com_vlan_10
    owner: ann

- name: Give it more memory, now
  commissaire.fleet.vm:
    name: ns.example.com
    memory_mb: 1024
    power_cycle: true

- name: Remove it with its disks
  commissaire.fleet.vm:
    name: ns.example.com
    state: absent
    remove_disks: true
    force: true
"""

RETURN = r"""
vm:
  description: The machine, as M(commissaire.fleet.vm_info) tells of it; null when there is none.
  returned: success
  type: dict
needs_power_cycle:
  description: What of its definition it gets when it is started next.
  returned: success
  type: list
  elements: str
"""

import time
from typing import Any
from xml.sax.saxutils import escape

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.commissaire.fleet.plugins.module_utils.domain import (
    Domain,
    check_unused,
    devices,
    observe,
    remove_volumes,
)
from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor import (
    ARGUMENTS,
    HypervisorError,
    connected,
    found,
)
from ansible_collections.commissaire.fleet.plugins.module_utils.virt_type import virt_type_of
from ansible_collections.commissaire.fleet.plugins.module_utils.virtual_machine import (
    CPUS,
    NAMESPACE,
    Disk,
    Interface,
    MachinePlan,
    changed_xml,
    device_xml,
    machine_xml,
    plan_machine,
)

LIVE = 1  # VIR_DOMAIN_AFFECT_LIVE
SECURE = 1  # VIR_DOMAIN_XML_SECURE
INACTIVE = 2  # VIR_DOMAIN_XML_INACTIVE
UNDEFINE = 1 | 2 | 4 | 16  # managed save, snapshots' and checkpoints' metadata, NVRAM
METADATA_ELEMENT = 2  # VIR_DOMAIN_METADATA_ELEMENT
FIELDS = ("memory_mb", "vcpus", "firmware", "cpu", "guest_agent", "graphics", "owner")
POLL_SECONDS = 0.5


class Machine:
    """The machine of one run of the module: `before` is as it was found, None when there was none."""

    def __init__(self, module: AnsibleModule, connection: Any) -> None:
        self.module = module
        self.parameters = module.params
        self.name: str = module.params["name"]
        self.connection = connection
        self.domain = found(connection.lookupByName, self.name)
        self.before = observe(connection, self.domain)

    def plan(self) -> MachinePlan:
        """Return how its definition changes. Fails the module where the parameters don't go together."""
        given = {name: self.parameters[name] for name in FIELDS}
        boot, disks, networks = (self.parameters[name] for name in ("boot", "disks", "networks"))
        given["boot"] = None if boot is None else tuple(boot)
        given["disks"] = None if disks is None else tuple(self._disk(Disk(**disk)) for disk in disks)
        ports = [{**network, "mac": network["mac"].lower()} for network in networks or ()]  # as libvirt writes it
        given["interfaces"] = None if networks is None else tuple(Interface(**port) for port in ports)
        try:
            return plan_machine(self.before.defined if self.before else None, given)
        except ValueError as error:
            self.module.fail_json(msg=f"machine {self.name}: {error}")

    def _disk(self, disk: Disk) -> Disk:
        return self.before.as_defined(disk) if self.before else disk

    def define(self, plan: MachinePlan) -> None:
        """Bring its definition, and what can change at once of a running one, into the planned form."""
        if self.before is None:
            pool = next((disk.pool for disk in plan.define.disks if disk.pool), "default")
            kind = virt_type_of(self.connection, self.parameters["virt_type"], pool)
            self.domain = self.connection.defineXML(machine_xml(self.name, plan.define, kind))
            return
        if plan.define is not None:
            was = self.domain.XMLDesc(INACTIVE | SECURE)  # without it a console would lose its password
            self.domain = self.connection.defineXML(changed_xml(was, self.before.defined, plan.define))
        if self.domain.isActive():
            self._plug()
            if plan.owner and plan.define:
                element = f"<owner>{escape(plan.define.owner)}</owner>" if plan.define.owner else None
                self.domain.setMetadata(METADATA_ELEMENT, element, "commissaire", NAMESPACE, LIVE)

    def _plug(self) -> None:
        """Let a running machine have the devices of its definition, and no others."""
        now = observe(self.connection, self.domain)
        if now is None or now.live is None:
            return
        live, defined = self.domain.XMLDesc(SECURE), self.domain.XMLDesc(INACTIVE | SECURE)
        for device in devices(now.live):
            if device not in devices(now.defined):
                self.domain.detachDeviceFlags(device_xml(live, device), LIVE)
        for device in devices(now.defined):
            if device not in devices(now.live):
                self.domain.attachDeviceFlags(device_xml(defined, device), LIVE)

    def start(self) -> None:
        """Start it."""
        self.domain.create()

    def stop(self) -> None:
        """Let it shut itself down, and power it off afterwards if that is allowed. Raise HypervisorError if not."""
        deadline = time.monotonic() + self.parameters["stop_timeout_seconds"]
        asked = 0.0
        while self.domain.isActive() and time.monotonic() < deadline:
            if time.monotonic() - asked > 10:  # a machine that was just starting has not heard it
                self.domain.shutdown()
                asked = time.monotonic()
            time.sleep(POLL_SECONDS)
        if not self.domain.isActive():
            return
        if not self.parameters["force"]:
            raise HypervisorError(
                f"machine {self.name} does not shut down within {self.parameters['stop_timeout_seconds']} s; "
                "give it more time, or power it off with force"
            )
        self.domain.destroy()

    def remove(self) -> None:
        """Remove its definition, and its disks if that is wanted."""
        found = self.before.disks if self.parameters["remove_disks"] and self.before else ()
        disks = [disk for disk in found if disk.device == "disk"]
        check_unused(self.connection, [disk.where for disk in disks], but=self.name)
        if self.domain.isActive():
            self.stop()
        if self.domain.isPersistent():
            self.domain.undefineFlags(UNDEFINE)
        remove_volumes(self.connection, disks)


def main() -> None:
    """Bring a machine into its state."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "running", "stopped", "absent"], "default": "present"},
            "memory_mb": {"type": "int"},
            "vcpus": {"type": "int"},
            "firmware": {"type": "str", "choices": ["bios", "uefi"]},
            "cpu": {"type": "str", "choices": [*CPUS]},
            "boot": {"type": "list", "elements": "str", "choices": ["hd", "network", "cdrom"]},
            "disks": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "pool": {"type": "str", "default": "default"},
                    "volume": {"type": "str", "required": True},
                    "device": {"type": "str", "choices": ["disk", "cdrom"], "default": "disk"},
                    "format": {"type": "str", "choices": ["qcow2", "raw"], "default": "qcow2"},
                },
            },
            "networks": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "network": {"type": "str", "required": True},
                    "mac": {"type": "str", "default": ""},
                    "model": {"type": "str", "default": "virtio"},
                },
            },
            "guest_agent": {"type": "bool"},
            "graphics": {"type": "str", "choices": ["vnc", "spice", "none"]},
            "owner": {"type": "str"},
            "autostart": {"type": "bool"},
            "virt_type": {"type": "str", "choices": ["auto", "kvm", "qemu"], "default": "auto"},
            "power_cycle": {"type": "bool", "default": False},
            "stop_timeout_seconds": {"type": "int", "default": 120},
            "force": {"type": "bool", "default": False},
            "remove_disks": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    with connected(module) as connection:
        machine = Machine(module, connection)
        changed, after = (remove if module.params["state"] == "absent" else provide)(machine)
        told = [domain.facts() if domain else None for domain in (machine.before, after)]
        pending = after.needs_power_cycle if after else []
        diff = {"before": told[0] or {}, "after": told[1] or {}}
        module.exit_json(changed=changed, vm=told[1], needs_power_cycle=pending, diff=diff)


def remove(machine: Machine) -> tuple[bool, Domain | None]:
    """Let there be no machine; return whether there was one."""
    if machine.before is None:
        return False, None
    if not machine.module.check_mode:
        machine.remove()
    return True, None


def provide(machine: Machine) -> tuple[bool, Domain | None]:
    """Let the machine be as it is wanted; return whether that changed anything, and what it is then."""
    plan = machine.plan()
    before, wanted = machine.before, machine.parameters
    runs = before is not None and before.active
    autostart = wanted["autostart"] is not None and wanted["autostart"] != (before is not None and before.autostart)
    pending = before.needs_power_cycle if before else []
    cycles = runs and wanted["power_cycle"] and bool(pending or plan.cold) and wanted["state"] != "stopped"
    starts = wanted["state"] == "running" and not runs
    stops = wanted["state"] == "stopped" and runs
    plugs = runs and not stops and before is not None and not before.plugged_as_defined
    changed = plan.define is not None or autostart or cycles or starts or stops or plugs
    if not changed:
        return False, before
    if machine.module.check_mode:
        runs_then = (runs or starts) and not stops
        cold = sorted({*pending, *plan.cold}) if runs and runs_then and not cycles else []
        kind = "" if wanted["virt_type"] == "auto" else wanted["virt_type"]  # auto: only a guest would show it
        return True, Domain.planned(machine.name, before, plan.define, runs_then, wanted["autostart"], cold, kind)
    machine.define(plan)
    if autostart:
        machine.domain.setAutostart(int(wanted["autostart"]))
    if cycles or stops:
        machine.stop()
    if cycles or starts:
        machine.start()
    return True, observe(machine.connection, machine.domain)


if __name__ == "__main__":
    main()
