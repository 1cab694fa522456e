"""What the XML of libvirt's domains says, and how one becomes what is wanted."""

import xml.etree.ElementTree as ET

import pytest
from ansible_collections.commissaire.fleet.plugins.module_utils.clone import clone_xml, copied_disks
from ansible_collections.commissaire.fleet.plugins.module_utils.domain import Domain
from ansible_collections.commissaire.fleet.plugins.module_utils.virtual_machine import (
    Disk,
    Interface,
    VirtualMachine,
    changed_xml,
    device_xml,
    machine_xml,
    plan_machine,
    read_machine,
    target,
)

SDA, SDB = Disk("default", "web-sda"), Disk("default", "web-sdb", format="raw")
PORT = Interface("lab", "52:54:00:00:00:01")
WEB = VirtualMachine(512, disks=(SDA, SDB), interfaces=(PORT,), owner="ann")


@pytest.mark.parametrize(
    "machine",
    [
        VirtualMachine(512),
        WEB,
        VirtualMachine(4096, 4, "uefi", "maximum", ("network", "hd"), graphics="none", guest_agent=False),
        VirtualMachine(64, disks=(Disk("isos", "boot.iso", "cdrom", "raw"),), boot=("cdrom",), graphics="spice"),
    ],
)
def test_what_is_wanted_is_read_again_from_its_xml(machine):
    assert read_machine(machine_xml("web", machine, "qemu")) == machine


def parse(xml):
    return ET.fromstring(xml)  # noqa: S314  our own


def test_disks_are_scsi_and_there_is_a_serial_console():
    root = parse(machine_xml("web", WEB, "kvm"))
    assert root.get("type") == "kvm"
    assert [(disk.get("dev"), disk.get("bus")) for disk in root.findall("devices/disk/target")] == [
        ("sda", "scsi"), ("sdb", "scsi"),
    ]  # fmt: skip
    assert root.find("devices/controller[@type='scsi']").get("model") == "virtio-scsi"
    assert root.find("devices/console/target").get("type") == "serial"


def test_names_and_owners_are_no_markup():
    machine = VirtualMachine(64, owner="<b>&ann")
    xml = machine_xml("a<b>&", machine, "qemu")
    assert "<name>a&lt;b&gt;&amp;</name>" in xml
    assert read_machine(xml) == machine


@pytest.mark.parametrize(("number", "name"), [(0, "sda"), (25, "sdz"), (26, "sdaa"), (701, "sdzz"), (702, "sdaaa")])
def test_the_disks_names_are_those_of_linux(number, name):
    assert target(number) == name


def test_everything_else_in_a_definition_stays_as_somebody_made_it():
    xml = machine_xml("web", WEB, "qemu").replace("</devices>", "<watchdog model='i6300esb'/></devices>")
    after = plan_machine(WEB, {"memory_mb": 1024, "vcpus": 2, "owner": "bob", "graphics": "none"}).define
    changed = changed_xml(xml, WEB, after)
    assert read_machine(changed) == after
    assert "<watchdog" in changed
    assert "<video" not in changed


@pytest.mark.parametrize(
    "after",
    [
        {"firmware": "uefi"},
        {"boot": ("network",)},
        {"guest_agent": False},
        {"owner": ""},
        {"cpu": "host-model"},
        {"disks": (SDB,)},
        {"disks": (SDA, SDB, Disk("default", "web-sdc"))},
        {"interfaces": ()},
        {"interfaces": (PORT, Interface("other", "52:54:00:00:00:02"))},
    ],
)
def test_each_part_of_a_definition_changes_alone(after):
    plan = plan_machine(WEB, after)
    assert plan.changed == tuple(after)
    assert read_machine(changed_xml(machine_xml("web", WEB, "qemu"), WEB, plan.define)) == plan.define


def test_a_new_disk_gets_the_first_name_that_is_free():
    without = plan_machine(WEB, {"disks": (SDB,)}).define
    xml = changed_xml(machine_xml("web", WEB, "qemu"), WEB, without)
    again = plan_machine(without, {"disks": (SDB, Disk("default", "new"))}).define
    names = [disk.get("dev") for disk in parse(changed_xml(xml, without, again)).findall("devices/disk/target")]
    assert names == ["sdb", "sda"]


@pytest.mark.parametrize(
    ("wanted", "changed", "cold"),
    [
        ({}, (), ()),
        ({"memory_mb": None, "vcpus": None}, (), ()),
        ({"memory_mb": 512, "owner": "ann"}, (), ()),
        ({"memory_mb": 1024}, ("memory_mb",), ("memory_mb",)),
        ({"vcpus": 2, "firmware": "uefi", "owner": "bob"}, ("firmware", "owner", "vcpus"), ("firmware", "vcpus")),
        ({"disks": (SDA,)}, ("disks",), ()),
        ({"disks": (SDB, SDA)}, (), ()),
        ({"interfaces": (Interface("lab"),)}, (), ()),
        ({"interfaces": (Interface("other"),)}, ("interfaces",), ()),
        ({"interfaces": (Interface("lab"), Interface("lab"))}, ("interfaces",), ()),
    ],
)
def test_live_changes_are_told_apart_from_those_that_need_a_power_cycle(wanted, changed, cold):
    plan = plan_machine(WEB, wanted)
    assert (plan.changed, plan.cold) == (changed, cold)
    assert (plan.define is None) == (not changed)


def test_a_new_machine_needs_its_memory():
    with pytest.raises(ValueError, match="a new machine needs memory_mb"):
        plan_machine(None, {"vcpus": 2, "memory_mb": None})
    assert plan_machine(None, {"memory_mb": 64}).define == VirtualMachine(64)


def test_a_device_is_found_in_the_definition_as_attaching_takes_it():
    xml = machine_xml("web", WEB, "qemu")
    assert 'dev="sdb"' in device_xml(xml, SDB)
    assert "52:54:00:00:00:01" in device_xml(xml, PORT)
    with pytest.raises(ValueError, match="there is no"):
        device_xml(xml, Interface("nowhere"))


def test_a_disk_that_is_defined_by_its_path_is_known_by_its_pool():
    by_path = Disk("", "/var/lib/libvirt/images/web-sda.qcow2")
    domain = Domain(
        "web", "u", "shut off", False, VirtualMachine(64, disks=(by_path, SDB)),
        volumes={by_path.volume: ("default", "web-sda.qcow2")},
    )  # fmt: skip
    known = Disk("default", "web-sda.qcow2")
    assert domain.disks == (known, SDB)
    assert domain.as_defined(known) == by_path
    assert domain.as_defined(SDA) == SDA
    assert domain.facts()["disks"][0] == {
        "pool": "default", "volume": "web-sda.qcow2", "device": "disk", "format": "qcow2",
    }  # fmt: skip


def test_a_running_machine_is_compared_with_its_definition_device_by_device():
    live = VirtualMachine(512, disks=(SDB, SDA), interfaces=(PORT,))
    assert Domain("web", "u", "running", False, WEB, live=live).plugged_as_defined
    assert Domain("web", "u", "shut off", False, WEB).plugged_as_defined
    assert not Domain("web", "u", "running", False, WEB, live=VirtualMachine(512, disks=(SDA, SDB))).plugged_as_defined


def test_a_copy_has_volumes_of_its_own_and_the_format_that_they_have():
    raw = VirtualMachine(64, disks=(SDB, Disk("isos", "boot.iso", "cdrom", "raw")), interfaces=(PORT,), firmware="uefi")
    xml = machine_xml("web", raw, "qemu").replace("</os>", "<nvram>/nvram/web</nvram></os>")
    assert copied_disks(xml, "copy") == {"sda": "copy-sda"}
    copy = read_machine(clone_xml(xml, "copy", {"sda": ("fast", "copy-sda", "qcow2")}))
    assert copy.disks == (Disk("fast", "copy-sda"), Disk("isos", "boot.iso", "cdrom", "raw"))
    assert copy.interfaces == (Interface("lab"),)
    assert "nvram" not in clone_xml(xml, "copy", {"sda": ("fast", "copy-sda", "qcow2")})
