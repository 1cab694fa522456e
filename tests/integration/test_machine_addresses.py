"""Where virtual machines answer, by guests that got their addresses by DHCP: one has a guest agent, one has none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import Lab, hypervisor, tiny_guest

from .module import run_module

pytestmark = pytest.mark.integration

SPEAKS, SILENT = "52:54:00:00:00:01", "52:54:00:00:00:02"
NETWORK = {
    "name": "leases",
    "mode": "isolated",
    "address": "192.168.150.1/24",
    "dhcp": {"start": "192.168.150.10", "end": "192.168.150.20"},
}
BOOT_SECONDS = 180
HANG_SECONDS = 15


@pytest.fixture(scope="module")
def box(lab_possible: None) -> Iterator[Lab]:
    """A lab whose machine is a hypervisor of two guests that have their addresses."""
    packages = (*hypervisor.PACKAGES, *tiny_guest.PACKAGES)
    with Lab.make(hosts=1, containers=True, disk_mb=2048, packages=packages) as lab:
        host = lab.hosts[0]
        hypervisor.prepare(host)
        tiny_guest.prepare(host)
        assert not run_module(lab, host, "vm_network", **NETWORK).get("failed")
        tiny_guest.start(host, "speaks", "leases", SPEAKS, agent=True)
        tiny_guest.start(host, "silent", "leases", SILENT, agent=False)
        deadline = time.monotonic() + BOOT_SECONDS
        while not (told(lab, "speaks", "agent") and told(lab, "silent", "lease")):
            console = (host.root / "var/log/speaks.log").read_text(errors="replace")[-2000:]
            assert time.monotonic() < deadline, console
            time.sleep(1)
        yield lab


def told(lab: Lab, name: str, source: str) -> str:
    """Return which addresses virsh knows; "" for none."""
    command = ["virsh", "--quiet", "domifaddr", name, "--source", source]
    return lab.hosts[0].run(command, capture_output=True, text=True, check=False, timeout=30).stdout.strip()


def addresses(lab: Lab, name: str) -> list[dict[str, Any]]:
    result = run_module(lab, lab.hosts[0], "vm_info", name=name, addresses=True)
    assert not result.get("failed"), result
    (machine,) = result["vms"]
    found: list[dict[str, Any]] = machine["addresses"]
    return found


def sources(lab: Lab) -> list[str]:
    """Return whom the addresses of the guest with an agent are from."""
    return [one["source"] for one in addresses(lab, "speaks")]


def kept_timeout(lab: Lab) -> str:
    """Return how long libvirt waits for that agent; -2 is as long as it takes."""
    command = ["cat", "/run/libvirt/qemu/speaks.xml"]
    status = ET.fromstring(lab.hosts[0].run(command, capture_output=True, text=True).stdout)  # noqa: S314  libvirt's own
    return str(status.findtext(".//agentTimeout"))


def inventory(lab: Lab, tmp_path: Path, *command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run one of Ansible's programs on the controller, which reaches the hypervisor by ssh."""
    uri = f"qemu+ssh://root@{lab.hosts[0].address}/system?keyfile={lab.private_key}&no_verify=1"
    source = tmp_path / "lab.machines.yml"
    source.write_text(json.dumps({"plugin": "commissaire.fleet.machines", "uris": [uri], **options}))
    environment = {**os.environ, "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true"}
    program = Path(sys.executable).parent / command[0]
    return lab.run([program, "-i", source, *command[1:]], env=environment, capture_output=True, text=True)


def test_the_guest_agent_says_where_its_machine_is_and_what_else_it_has(box: Lab) -> None:
    own, inner = addresses(box, "speaks")
    assert own["address"].startswith("192.168.150.1")
    assert {**own, "address": ""} == {
        "mac": SPEAKS, "network": "leases", "address": "", "prefix": 24, "source": "agent",
    }  # fmt: skip
    assert (inner["address"], inner["network"]) == ("172.17.0.1", None), "it is on the guest's loopback device"
    assert kept_timeout(box) == "-2", "libvirt waits for this agent as it did before"


def test_leases_say_where_a_machine_is_that_has_no_guest_agent(box: Lab) -> None:
    (own,) = addresses(box, "silent")
    assert (own["mac"], own["network"], own["prefix"], own["source"]) == (SILENT, "leases", 24, "lease")
    assert own["address"] in told(box, "silent", "lease")


def test_an_agent_that_hangs_delays_nobody_for_long(box: Lab) -> None:
    hang = f"P=$PPID; (sleep {HANG_SECONDS}; kill -CONT $P) & kill -STOP $P"
    order = {"execute": "guest-exec", "arguments": {"path": "/bin/sh", "arg": ["-c", hang]}}
    box.hosts[0].run(["virsh", "qemu-agent-command", "speaks", json.dumps(order)], capture_output=True, timeout=30)
    started = time.monotonic()
    assert sources(box) == ["lease"]
    assert time.monotonic() - started < HANG_SECONDS / 2
    assert kept_timeout(box) == "-2"
    time.sleep(HANG_SECONDS)
    assert sources(box) == ["agent", "agent"]


def test_a_machine_that_stands_still_is_told_by_its_lease_and_later_by_its_agent(box: Lab) -> None:
    host = box.hosts[0]
    (pid,) = host.run(["pgrep", "-f", "guest=speaks,"], capture_output=True, text=True).stdout.split()
    host.run(["kill", "-STOP", pid])
    try:
        started = time.monotonic()
        assert sources(box) == ["lease"], "libvirt's own timeout does not end this call"
        assert time.monotonic() - started < 20
    finally:
        host.run(["kill", "-CONT", pid])
    deadline = time.monotonic() + 60
    while sources(box) != ["agent", "agent"]:
        assert time.monotonic() < deadline
        time.sleep(1)
    assert kept_timeout(box) == "-2"


def test_machines_are_hosts_at_their_addresses(box: Lab, tmp_path: Path) -> None:
    pytest.importorskip("libvirt", reason="needs libvirt-python: pip install libvirt-python, which needs libvirt-dev")
    done = inventory(box, tmp_path, "ansible-inventory", "--list", "--export", "--yaml", filters={"owners": ["ann"]})
    assert (done.returncode, done.stderr) == (0, "")
    (speaks,) = addresses(box, "speaks")[:1]
    (silent,) = addresses(box, "silent")
    assert f"ansible_host: {speaks['address']}" in done.stdout
    assert f"ansible_host: {silent['address']}" in done.stdout
    for group in (
        f"hypervisor_{box.hosts[0].address.replace('.', '_')}",
        "owner_ann",
        "network_leases",
        "state_running",
    ):
        assert f"    {group}:\n      hosts:\n        silent:" in done.stdout


def test_a_connection_that_may_only_read_is_enough_without_agents(box: Lab, tmp_path: Path) -> None:
    pytest.importorskip("libvirt", reason="needs libvirt-python: pip install libvirt-python, which needs libvirt-dev")
    done = inventory(box, tmp_path, "ansible-inventory", "--host", "speaks", address_sources=["lease"])
    assert (done.returncode, done.stderr) == (0, "")
    assert [one["source"] for one in json.loads(done.stdout)["vm_addresses"]] == ["lease"]
