"""Machines, their disks and networks on a real libvirt with QEMU and Open vSwitch."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import pytest

from lab import Lab, LabHost, hypervisor

from .module import run_module

pytestmark = pytest.mark.integration

TAGGED = {"name": "ns_example_com:vlan_10", "mode": "openvswitch", "bridge": hypervisor.SWITCH, "vlan": 10}
DISKS = [{"volume": "ns.example.com-sda"}, {"volume": "ns.example.com-sdb"}]
MACHINE = {
    "name": "ns.example.com",
    "memory_mb": 64,
    "virt_type": "qemu",
    "disks": DISKS,
    "networks": [{"network": TAGGED["name"]}],
    "owner": "ann",
}


class Hypervisor:
    """The machine that has libvirt; each method runs a module there."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.host: LabHost = lab.hosts[0]

    def run(self, module: str, /, *options: str, **arguments: Any) -> dict[str, Any]:
        result = run_module(self.lab, self.host, module, *options, **arguments)
        assert not result.get("failed"), result.get("msg")
        return result

    def fails(self, module: str, /, **arguments: Any) -> str:
        result = run_module(self.lab, self.host, module, **arguments)
        assert result.get("failed"), result
        return str(result["msg"])

    def unchanged(self, module: str, /, **arguments: Any) -> dict[str, Any]:
        result = self.run(module, **arguments)
        assert not result["changed"], result
        return result

    def changes(self, module: str, /, **arguments: Any) -> dict[str, Any]:
        """Run a module that is to change something: --check foresees it and does nothing, a second run neither."""
        foreseen = self.run(module, "--check", "--diff", **arguments)
        result = self.run(module, "--diff", **arguments)
        assert (foreseen["changed"], result["changed"]) == (True, True), result
        assert told(foreseen["diff"]["before"]) == told(result["diff"]["before"])
        assert told(foreseen["diff"]["after"]) == told(result["diff"]["after"])
        self.unchanged(module, **arguments)
        return result

    def virsh(self, *arguments: str) -> str:
        return str(self.host.run(["virsh", *arguments], capture_output=True, text=True).stdout)


def told(facts: dict[str, Any]) -> dict[str, Any]:
    """Leave out what nobody knows before it is made."""
    ports = [{**port, "mac": ""} for port in facts.get("networks", [])]
    unknown = ("uuid", "path", "allocated_gb")
    return {**{name: value for name, value in facts.items() if name not in unknown}, "networks": ports}


@pytest.fixture(scope="module")
def box(lab_possible: None) -> Iterator[Hypervisor]:
    with Lab.make(hosts=1, containers=True, disk_mb=2048, packages=hypervisor.PACKAGES) as lab:
        hypervisor.prepare(lab.hosts[0])
        yield Hypervisor(lab)


def test_a_network_is_made_changed_and_removed(box: Hypervisor) -> None:
    made = box.changes("vm_network", **TAGGED)["network"]
    assert (made["active"], made["autostart"], made["vlan"]) == (True, True, 10)
    (shown,) = box.run("vm_network_info", name=TAGGED["name"])["networks"]
    assert shown == made
    changed = box.run("vm_network", **{**TAGGED, "vlan": 11})
    assert (changed["changed"], changed["needs_restart"], changed["network"]["vlan"]) == (True, True, 11)
    assert box.unchanged("vm_network", **{**TAGGED, "vlan": 11})["needs_restart"] is True
    restarted = box.run("vm_network", **{**TAGGED, "vlan": 11}, restart=True)
    assert (restarted["changed"], restarted["needs_restart"]) == (True, False)
    assert restarted["network"]["uuid"] == made["uuid"]
    assert box.changes("vm_network", name=TAGGED["name"], state="absent")["network"] is None
    assert box.run("vm_network_info", name=TAGGED["name"])["networks"] == []


def test_a_network_with_leases_is_served_by_dnsmasq(box: Hypervisor) -> None:
    leases = {"start": "192.168.150.10", "end": "192.168.150.20"}
    wanted = {"name": "leases", "mode": "isolated", "address": "192.168.150.1/24", "dhcp": leases}
    box.changes("vm_network", **wanted)
    running = box.host.run(["pgrep", "-a", "dnsmasq"], capture_output=True, text=True).stdout
    assert "leases.conf" in running
    box.run("vm_network", name="leases", state="absent")


@pytest.mark.parametrize(
    ("module", "arguments", "words"),
    [
        ("vm_network", {"name": "n", "mode": "bridge"}, "network n: a network of mode bridge needs a bridge"),
        ("vm_network", {"name": "a/b", "mode": "isolated"}, "hypervisor qemu:///system: "),
        ("vm_volume", {"name": "v", "size_gb": 1, "pool": "none"}, "storage pool none is not there; start it first"),
        ("vm_volume", {"name": "v"}, "volume v of pool default: a new one needs size_gb, source or backing"),
        ("vm_volume", {"name": "../v", "size_gb": 1}, "hypervisor qemu:///system: "),
        ("vm_volume", {"name": "v", "source": "/nowhere"}, "source /nowhere can't be read here"),
        ("vm_volume", {"name": "v", "backing": "nothing"}, "there is no volume nothing in the pool"),
        ("vm", {"name": "m"}, "machine m: a new machine needs memory_mb"),
        ("vm", {"name": "m", "memory_mb": 64, "uri": "qemu+unix:///no"}, "hypervisor qemu+unix:///no can't be reached"),
        ("vm", {"name": "m", "memory_mb": 64, "virt_type": "qemu", "state": "running",
                "disks": [{"volume": "none"}]}, "no storage vol with matching name 'none'"),
    ],
)  # fmt: skip
def test_what_can_not_be_is_told_by_its_name_and_cause(
    box: Hypervisor, module: str, arguments: dict[str, Any], words: str
) -> None:
    assert words in box.fails(module, **arguments)
    box.run("vm", name="m", state="absent")


def test_a_volume_is_made_grown_copied_and_removed(box: Hypervisor) -> None:
    made = box.changes("vm_volume", name="base", size_gb=0.5)["volume"]
    assert (made["size_gb"], made["format"], made["pool"]) == (0.5, "qcow2", "default")
    assert made["path"] == f"{hypervisor.POOL}/base"
    (shown,) = box.run("vm_volume_info", pool="default", name="base")["volumes"]
    assert shown == made
    assert box.changes("vm_volume", name="base", size_gb=1)["volume"]["size_gb"] == 1
    assert "is not shrunk to 0.25" in box.fails("vm_volume", name="base", size_gb=0.25)
    copy = box.changes("vm_volume", name="copy", backing="base", size_gb=2)["volume"]
    assert (copy["backing"], copy["size_gb"]) == (made["path"], 2)
    assert "nothing is removed, for others need it: base by volume copy, which is a copy of it" in box.fails(
        "vm_volume", name="base", state="absent"
    )
    for name in ("copy", "base"):
        assert box.changes("vm_volume", name=name, state="absent")["volume"] is None


def test_a_volume_has_what_an_image_has(box: Hypervisor) -> None:
    box.host.run(["qemu-img", "create", "-q", "-f", "qcow2", "/root/image.qcow2", "64M"])
    box.host.run(["qemu-io", "-c", "write -P 7 1M 1M", "/root/image.qcow2"], capture_output=True)
    made = box.changes("vm_volume", name="of-image", source="/root/image.qcow2", size_gb=1)["volume"]
    assert made["size_gb"] == 1
    read = box.host.run(["qemu-io", "-r", "-c", "read -P 7 1M 1M", made["path"]], capture_output=True, text=True)
    assert "verification failed" not in read.stdout
    box.run("vm_volume", name="of-image", state="absent")


@pytest.fixture
def machine(box: Hypervisor) -> Iterator[Hypervisor]:
    """A hypervisor with what the machine needs; whatever was made is removed."""
    box.run("vm_network", **TAGGED)
    for disk in DISKS:
        box.run("vm_volume", name=disk["volume"], size_gb=1)
    yield box
    box.run("vm", name=MACHINE["name"], state="absent", force=True, stop_timeout_seconds=0)
    for disk in DISKS:
        box.run("vm_volume", name=disk["volume"], state="absent")


def test_a_machine_is_defined_started_stopped_and_removed(machine: Hypervisor) -> None:
    made = machine.changes("vm", **MACHINE)["vm"]
    assert (made["state"], made["memory_mb"], made["vcpus"], made["owner"]) == ("shut off", 64, 1, "ann")
    assert [disk["volume"] for disk in made["disks"]] == [disk["volume"] for disk in DISKS]
    (shown,) = machine.run("vm_info", owner="ann")["vms"]
    assert shown == made
    assert machine.run("vm_info", owner="bob")["vms"] == []

    assert machine.changes("vm", **MACHINE, state="running")["vm"]["state"] == "running"
    ports = machine.host.run(["ovs-vsctl", "show"], capture_output=True, text=True).stdout
    assert "tag: 10" in ports
    stubborn = {"name": MACHINE["name"], "state": "stopped", "stop_timeout_seconds": 2}
    assert "does not shut down within 2 s; give it more time, or power it off with force" in machine.fails(
        "vm", **stubborn
    )
    assert machine.changes("vm", **stubborn, force=True)["vm"]["state"] == "shut off"

    removed = machine.changes("vm", name=MACHINE["name"], state="absent", remove_disks=True)
    assert removed["vm"] is None
    assert DISKS[0]["volume"] not in machine.virsh("vol-list", "default")


def test_a_running_machine_changes_what_it_can_at_once_and_tells_what_it_can_t(machine: Hypervisor) -> None:
    before = machine.run("vm", **MACHINE, state="running")["vm"]
    machine.run("vm_volume", name="extra", size_gb=1)
    more = {**MACHINE, "disks": [*DISKS, {"volume": "extra"}], "memory_mb": 96, "owner": "R&D", "autostart": True}
    changed = machine.changes("vm", **more)
    assert (changed["needs_power_cycle"], changed["vm"]["uuid"]) == (["memory_mb"], before["uuid"])
    assert changed["vm"]["networks"] == before["networks"], "the port keeps its address"
    live = ET.fromstring(machine.virsh("dumpxml", MACHINE["name"]))  # noqa: S314  libvirt's own
    assert [disk.get("dev") for disk in live.findall("devices/disk/target")] == ["sda", "sdb", "sdc"]
    assert live.findtext("memory") == str(64 * 1024)
    assert "R&amp;D" in machine.virsh("metadata", MACHINE["name"], "https://commissaire.example.org/xmlns/domain/1")

    machine.virsh("detach-disk", MACHINE["name"], "sdc", "--live")
    port = before["networks"][0]["mac"].upper()
    again = machine.run("vm", **{**more, "networks": [{"network": TAGGED["name"], "mac": port}]})
    assert again["changed"], "what somebody has unplugged is plugged in again"
    assert "sdc" in machine.virsh("domblklist", MACHINE["name"])
    machine.unchanged("vm", **{**more, "networks": [{"network": TAGGED["name"], "mac": port}]})

    cycled = machine.run("vm", name=MACHINE["name"], power_cycle=True, force=True, stop_timeout_seconds=2)
    assert (cycled["changed"], cycled["needs_power_cycle"], cycled["vm"]["state"]) == (True, [], "running")
    fewer = machine.changes("vm", name=MACHINE["name"], disks=DISKS)
    assert len(fewer["vm"]["disks"]) == 2
    machine.run("vm_volume", name="extra", state="absent")


def test_a_disk_of_another_machine_is_not_removed(machine: Hypervisor) -> None:
    machine.run("vm", **MACHINE)
    other = {"name": "ns.example.com2", "memory_mb": 64, "virt_type": "qemu", "disks": DISKS[:1]}
    machine.run("vm", **other)
    refused = machine.fails("vm", name=MACHINE["name"], state="absent", remove_disks=True)
    assert "nothing is removed, for others need it: ns.example.com-sda by machine ns.example.com2" in refused
    assert "by machine" in machine.fails("vm_volume", name=DISKS[0]["volume"], state="absent")
    assert machine.run("vm_info", name=MACHINE["name"])["vms"]
    machine.run("vm", name=other["name"], state="absent")


def test_a_machine_with_uefi_is_removed_with_its_nvram(machine: Hypervisor) -> None:
    machine.changes("vm", **MACHINE, firmware="uefi", state="running")
    listed = machine.host.run(["ls", "/var/lib/libvirt/qemu/nvram"], capture_output=True, text=True)
    assert MACHINE["name"] in listed.stdout
    machine.run("vm", name=MACHINE["name"], state="absent", force=True, stop_timeout_seconds=0)
    listed = machine.host.run(["ls", "/var/lib/libvirt/qemu/nvram"], capture_output=True, text=True)
    assert MACHINE["name"] not in listed.stdout


def test_a_machine_that_somebody_else_defined_by_paths_is_known_and_keeps_what_they_made(machine: Hypervisor) -> None:
    path = f"{hypervisor.POOL}/{DISKS[0]['volume']}"
    xml = f"""<domain type='qemu'><name>{MACHINE["name"]}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
      <os><type>hvm</type></os><devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
      <source file='{path}'/><target dev='vda' bus='virtio'/></disk><watchdog model='i6300esb'/></devices></domain>"""
    (machine.host.root / "root/theirs.xml").write_text(xml)
    machine.virsh("define", "/root/theirs.xml")
    (shown,) = machine.run("vm_info", name=MACHINE["name"])["vms"]
    assert shown["disks"] == [
        {"pool": "default", "volume": DISKS[0]["volume"], "device": "disk", "format": "qcow2"},
    ]
    machine.changes("vm", name=MACHINE["name"], memory_mb=80, disks=DISKS)
    after = machine.virsh("dumpxml", MACHINE["name"])
    assert "i6300esb" in after
    assert "vda" in after
    assert "sda" in after


def test_a_state_is_kept_gone_back_to_and_forgotten(machine: Hypervisor) -> None:
    machine.run("vm", **{**MACHINE, "memory_mb": 64}, state="running")
    kept = {"vm": MACHINE["name"], "name": "before", "description": "of <the> upgrade"}
    made = machine.run("vm_snapshot", **kept)
    assert (made["changed"], made["snapshot"]["state"], made["snapshot"]["current"]) == (True, "running", True)
    machine.unchanged("vm_snapshot", **kept)
    (shown,) = machine.run("vm_snapshot_info", vm=MACHINE["name"])["snapshots"]
    assert shown == made["snapshot"]
    assert shown["description"] == kept["description"]

    machine.run("vm", name=MACHINE["name"], state="stopped", force=True, stop_timeout_seconds=0)
    assert machine.run("vm_snapshot", "--check", **kept, state="reverted")["changed"] is True
    assert machine.run("vm_info", name=MACHINE["name"])["vms"][0]["state"] == "shut off"
    assert machine.run("vm_snapshot", **kept, state="reverted")["changed"] is True
    assert machine.run("vm_info", name=MACHINE["name"])["vms"][0]["state"] == "running"
    assert machine.changes("vm_snapshot", vm=MACHINE["name"], name="before", state="absent")["snapshot"] is None
    gone = machine.fails("vm_snapshot", vm=MACHINE["name"], name="before", state="reverted")
    assert f"machine {MACHINE['name']} has no snapshot before to go back to" in gone
    assert "there is no machine nothing" in machine.fails("vm_snapshot", vm="nothing", name="before")


@pytest.mark.parametrize("linked", [False, True])
def test_a_machine_is_copied_with_its_disks(machine: Hypervisor, linked: bool) -> None:
    machine.run("vm", **MACHINE, state="running")
    wanted = {"name": "copy", "source": MACHINE["name"], "linked": linked}
    assert f"machine {MACHINE['name']} runs, and its disks change meanwhile" in machine.fails("vm_clone", **wanted)
    original = machine.run("vm", name=MACHINE["name"], state="stopped", force=True, stop_timeout_seconds=0)["vm"]
    path = f"{hypervisor.POOL}/{DISKS[0]['volume']}"
    machine.host.run(["qemu-io", "-c", "write -P 7 1M 1M", path], capture_output=True)

    copy = machine.changes("vm_clone", **wanted)["vm"]
    assert [disk["volume"] for disk in copy["disks"]] == ["copy-sda", "copy-sdb"]
    assert (copy["memory_mb"], copy["owner"], copy["state"]) == (64, "ann", "shut off")
    assert copy["uuid"] != original["uuid"]
    assert copy["networks"][0]["mac"] != original["networks"][0]["mac"]
    disk = f"{hypervisor.POOL}/copy-sda"
    read = machine.host.run(["qemu-io", "-r", "-c", "read -P 7 1M 1M", disk], capture_output=True, text=True)
    assert "verification failed" not in read.stdout
    told = machine.host.run(["qemu-img", "info", disk], capture_output=True, text=True).stdout
    assert ("backing file:" in told) == linked
    machine.run("vm", name="copy", state="absent", remove_disks=True)
    assert "copy-sda" not in machine.virsh("vol-list", "default")


def test_a_copy_that_did_not_come_to_its_end_leaves_nothing(machine: Hypervisor) -> None:
    machine.run("vm", **MACHINE)
    machine.run("vm_volume", name="copy-sdb", size_gb=1)
    assert "copy-sdb" in machine.fails("vm_clone", name="copy", source=MACHINE["name"])
    assert "copy-sda" not in machine.virsh("vol-list", "default")
    assert machine.run("vm_info", name="copy")["vms"] == []
    machine.run("vm_volume", name="copy-sdb", state="absent")
