"""From machines that are wanted to hosts that run: installed from the network, or of a cloud image, by playbooks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import Lab, hypervisor
from lab.guest import guest, installer
from lab.web import served

from .module import run_module
from .playbook import Outcome, run_playbook

pytestmark = pytest.mark.integration
VLAN = 10
TAGGED = {"vm_network_name": "ns_example_com:vlan_10", "vm_network_mode": "openvswitch", "vm_network_vlan": VLAN}
IMAGE = "/root/image.qcow2"
CUT_OFF = "/root/half.qcow2"


@pytest.fixture(scope="module")
def lab(lab_possible: None) -> Iterator[Lab]:
    """A hypervisor whose VLAN the lab's network reaches, with a network for it and an image of a system."""
    with Lab.make(hosts=1, containers=True, disk_mb=6000, packages=hypervisor.PACKAGES) as lab:
        host = lab.hosts[0]
        hypervisor.prepare(host)
        hypervisor.connect_vlan(lab, host, VLAN)
        image = (guest() / "disk.qcow2").read_bytes()
        (host.root / IMAGE.lstrip("/")).write_bytes(image)
        (host.root / CUT_OFF.lstrip("/")).write_bytes(image[: len(image) // 2])
        for command in (
            ["mount", "--mkdir", "-t", "tmpfs", "-o", "size=16m", "tmpfs", "/srv/small"],
            ["virsh", "pool-create-as", "small", "dir", "--target", "/srv/small"],
        ):
            host.run(command, capture_output=True)
        made = run_playbook(lab, "vm_network_create", vm_network_bridge=hypervisor.SWITCH, **TAGGED)
        assert made.returncode == 0, made.output
        yield lab


def machines(lab: Lab, folder: Path, **wanted: dict[str, Any]) -> list[str]:
    """Write an inventory of wanted machines, and return the options that name it and limit a play to it."""
    pinned = folder / "known_hosts"
    common = {
        "vm_create_on": "h1",
        "vm_remove_on": "h1",
        "vm_create_memory_mb": 512,
        "vm_create_install_timeout_seconds": 200,
        "vm_create_boot_timeout_seconds": 180,
        "vm_create_networks": [TAGGED["vm_network_name"]],
        "vm_create_known_hosts": str(pinned),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={pinned} -o StrictHostKeyChecking=yes",
    }
    inventory = folder / "machines.yml"
    inventory.write_text(json.dumps({"wanted": {"hosts": wanted, "vars": common}}))
    return ["-i", str(inventory), "--limit", "wanted"]


def left(lab: Lab) -> tuple[list[str], list[str]]:
    """Return which machines and which volumes the hypervisor has."""
    vms = run_module(lab, lab.hosts[0], "vm_info")["vms"]
    volumes = run_module(lab, lab.hosts[0], "vm_volume_info", pool="default")["volumes"]
    return sorted(vm["name"] for vm in vms), sorted(volume["name"] for volume in volumes)


def on(lab: Lab, outcome: Outcome, name: str, command: str, folder: Path, user: str = "root") -> str:
    """Run a command on a machine by ssh, with the keys that were pinned; return what it printed."""
    address = next(point["data"]["address"] for point in outcome.checkpoints(name) if "address" in point["data"])
    ssh = ["ssh", "-F", "none", "-i", lab.private_key, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
    ssh += ["-o", f"UserKnownHostsFile={folder / 'known_hosts'}", f"{user}@{address}", command]
    return str(lab.run(ssh, capture_output=True, text=True, check=True).stdout)


def test_a_machine_is_installed_from_the_network_and_becomes_a_host(lab: Lab, tmp_path: Path) -> None:
    key = lab.private_key.with_suffix(".pub").read_text().strip()
    with served(lab, tmp_path / "tree") as url:
        tree = installer(tmp_path / "tree", url, key)
        wanted = {"vm_create_disks_gb": [2, 1], "vm_create_location": f"{url}/{tree}", "vm_create_bootstrap": True}
        options = machines(lab, tmp_path, **{"ns.example.com": wanted})
        outcome = run_playbook(lab, "vm_create", *options)
    assert outcome.returncode == 0, outcome.output
    phases = [point["phase"] for point in outcome.checkpoints("ns.example.com")]
    assert phases[:5] == ["creating", "creating", "installing", "starting", "connecting"], (
        "said twice: what it will make"
    )
    assert phases[-1] == "done"
    assert '"version"' in on(lab, outcome, "ns.example.com", "cat /etc/ansible/facts.d/commissaire.fact", tmp_path)
    switch = lab.hosts[0].run(["ovs-vsctl", "show"], capture_output=True, text=True).stdout.replace('"', "")
    assert re.search(rf"Port vnet\d+\n\s+tag: {VLAN}\n", switch), switch
    again = run_playbook(lab, "vm_create", *options)
    assert again.returncode == 0, again.output
    assert [point["phase"] for point in again.checkpoints("ns.example.com")][:3] == ["creating", "starting", "starting"]
    assert again.changed() == [], "it is there, runs and is bootstrapped"
    taken = run_playbook(lab, "vm_create", *options, vm_create_existing="fail")
    assert "machine ns.example.com is there already" in taken.last("ns.example.com")["message"]
    removed = run_playbook(lab, "vm_remove", *options)
    assert (removed.returncode, removed.last("ns.example.com")["message"]) == (0, "removed"), removed.output
    assert left(lab) == ([], [])
    once_more = run_playbook(lab, "vm_remove", *options)
    assert (once_more.returncode, once_more.changed()) == (0, [])


def test_a_cloud_image_gets_its_user_key_name_and_network(lab: Lab, tmp_path: Path) -> None:
    key = lab.private_key.with_suffix(".pub").read_text().strip()
    address = "10.78.10.200"
    ethernet = {
        "match": {"name": "e*"},
        "addresses": [f"{address}/24"],
        "routes": [{"to": "0.0.0.0/0", "via": "10.78.10.1"}],
    }
    wanted = {
        "vm_create_image": IMAGE,
        "vm_create_disks_gb": [3],
        "vm_create_user": "ann",
        "vm_create_authorized_keys": [key],
        "vm_create_hostname": "web.example.com",
        "vm_create_network_config": {"version": 2, "ethernets": {"eth0": ethernet}},
        "vm_create_owner": "ann",
        "ansible_user": "ann",
        "ansible_become": True,
    }
    options = machines(lab, tmp_path, web=wanted)
    foreseen = run_playbook(lab, "vm_create", *options, "--check")
    assert (foreseen.returncode, left(lab)) == (0, ([], [])), foreseen.output
    outcome = run_playbook(lab, "vm_create", *options)
    assert outcome.returncode == 0, outcome.output
    told = on(lab, outcome, "web", "hostname; sudo id -un; ip -o -4 address show scope global", tmp_path, user="ann")
    name, root, port = told.splitlines()[:3]
    assert (name, root) in (("web", "root"), ("web.example.com", "root"))
    assert f"inet {address}/24" in port
    shown = run_module(lab, lab.hosts[0], "vm_info", name="web")["vms"][0]
    assert (shown["owner"], [disk["device"] for disk in shown["disks"]]) == ("ann", ["disk", "cdrom"])
    removed = run_playbook(lab, "vm_remove", *options)
    assert (removed.returncode, left(lab)) == (0, ([], [])), removed.output


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"vm_create_disks_gb": [1], "vm_create_networks": ["none"]}, "there is no network none; make it first"),
        ({"vm_create_disks_gb": [1], "vm_create_location": "http://127.0.0.1:9/"}, "virt-install says: "),
        ({"vm_create_image": "/root/none.qcow2"}, "source /root/none.qcow2 can't be read here: No such file"),
        ({"vm_create_image": CUT_OFF}, f"source {CUT_OFF} is corrupt; fetch it again"),
        ({"vm_create_image": IMAGE, "vm_create_pool": "small"}, "No space left on device"),
        ({"vm_create_disks_gb": [1], "vm_create_pool": "none"}, "storage pool none is not there"),
        ({}, "machine half has no disks; give it the size of one, or an image"),
        ({"vm_create_image": IMAGE, "vm_create_backing": "x"}, "made of an image or of a volume, not of both"),
        ({"vm_create_disks_gb": [1], "vm_create_on": "nobody"}, "nobody"),
    ],
)
def test_a_machine_that_can_not_be_made_leaves_nothing_behind(
    lab: Lab, tmp_path: Path, wanted: dict[str, Any], words: str
) -> None:
    outcome = run_playbook(lab, "vm_create", *machines(lab, tmp_path, half={"vm_create_virt_type": "qemu", **wanted}))
    assert outcome.returncode != 0
    assert words in outcome.output, outcome.output
    assert left(lab) == ([], [])
    assert run_module(lab, lab.hosts[0], "vm_volume_info", pool="small")["volumes"] == []


def test_a_volume_of_somebody_elses_is_not_taken_but_one_half_made_is_made_again(lab: Lab, tmp_path: Path) -> None:
    run_module(lab, lab.hosts[0], "vm_volume", name="half-sdb", size_gb=1)
    options = machines(lab, tmp_path, half={"vm_create_disks_gb": [1, 1]})
    outcome = run_playbook(lab, "vm_create", *options)
    assert "volume half-sdb of pool default is there already" in outcome.last("half")["message"]
    assert left(lab) == ([], ["half-sdb"])
    begun = {"vm_create_disks_gb": [1, 1], "vm_create_virt_type": "qemu", "vm_create_until": "created"}
    unfinished = {"vm_create_unfinished": ["half-sda", "half-sdb"]}
    options = machines(lab, tmp_path, half={**begun, **unfinished, "vm_create_start": False})
    again = run_playbook(lab, "vm_create", *options)
    assert (again.returncode, left(lab)) == (0, (["half"], ["half-sda", "half-sdb"])), again.output
    once_more = run_playbook(lab, "vm_create", *options)
    assert (once_more.returncode, once_more.last("half")["state"]) == (0, "finished"), once_more.output
    options = machines(lab, tmp_path, half={**begun, "vm_create_unfinished": ["half-sda"]})
    refused = run_playbook(lab, "vm_create", *options)
    assert "with disks that are not of the run that was interrupted" in refused.last("half")["message"]
    assert run_playbook(lab, "vm_remove", *options).returncode == 0
    assert left(lab) == ([], [])
