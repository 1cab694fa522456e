"""From machines that are wanted to hosts that run: installed from the network, or of a cloud image, by playbooks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import Lab, LabHost, hypervisor
from lab.guest import guest, installer
from lab.web import served

from .module import run_module
from .playbook import Outcome, run_playbook

pytestmark = pytest.mark.integration
VLAN = 10
TAGGED = {"vm_network_name": "ns_example_com:vlan_10", "vm_network_mode": "openvswitch", "vm_network_vlan": VLAN}
IMAGE = "/root/image.qcow2"


@pytest.fixture(scope="module")
def lab(lab_possible: None) -> Iterator[Lab]:
    """A hypervisor whose VLAN the lab's network reaches, with a network for it and an image of a system."""
    with Lab.make(hosts=1, containers=True, disk_mb=6000, packages=hypervisor.PACKAGES) as lab:
        host = lab.hosts[0]
        hypervisor.prepare(host)
        hypervisor.connect_vlan(lab, host, VLAN)
        (host.root / IMAGE.lstrip("/")).write_bytes((guest() / "disk.qcow2").read_bytes())
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


def on(lab: Lab, outcome: Outcome, name: str, *command: str) -> str:
    """Run a command on a machine by ssh, with the keys that were pinned."""
    address = outcome.data(name)["address"]
    there = LabHost(name, address, lab.name, lab.namespace, lab.directory / name)
    return lab.run([*lab.ssh(there), *command], capture_output=True, text=True, check=True).stdout


def test_a_machine_is_installed_from_the_network_and_becomes_a_host(lab: Lab, tmp_path: Path) -> None:
    key = lab.private_key.with_suffix(".pub").read_text().strip()
    with served(lab, tmp_path / "tree") as url:
        tree = installer(tmp_path / "tree", url, key)
        wanted = {"vm_create_disks_gb": [2, 1], "vm_create_location": f"{url}/{tree}", "vm_create_bootstrap": True}
        options = machines(lab, tmp_path, **{"ns.example.com": wanted})
        outcome = run_playbook(lab, "vm_create", *options)
    assert outcome.returncode == 0, outcome.output
    phases = [point["phase"] for point in outcome.checkpoints("ns.example.com")]
    assert phases[:5] == ["creating", "installing", "starting", "connecting", "connecting"]
    assert phases[-1] == "done"
    switch = lab.hosts[0].run(["ovs-vsctl", "show"], capture_output=True, text=True).stdout
    assert f"Port vnet0\n            tag: {VLAN}\n" in switch.replace('"', "") or "tag: 10" in switch, switch
