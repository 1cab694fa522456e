"""The role guest_agent where nobody gets in by ssh: a real guest of QEMU's, by the agent that its distribution has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import Lab, hypervisor
from lab.guest import guest

from .module import run_module
from .playbook import Outcome, run_playbook

pytestmark = pytest.mark.integration

IMAGE = "/root/image.qcow2"
BESIDE = ["virtio:org.commissaire.guest_agent.0", "unix:/run/singularity/socket"]


@pytest.fixture(scope="module")
def lab(lab_possible: None) -> Iterator[Lab]:
    """A hypervisor."""
    with Lab.make(hosts=1, containers=True, disk_mb=6000, packages=hypervisor.PACKAGES) as lab:
        hypervisor.prepare(lab.hosts[0])
        (lab.hosts[0].root / IMAGE.lstrip("/")).write_bytes((guest() / "disk.qcow2").read_bytes())
        yield lab


def play(lab: Lab, folder: Path, name: str, *arguments: str, **variables: Any) -> Outcome:
    """Run a playbook for the machine web, which has no network."""
    told = {
        "vm_create_on": "h1",
        "vm_create_memory_mb": 512,
        "vm_create_image": IMAGE,
        "vm_create_disks_gb": [3],
        "vm_create_until": "started",
        "guest_agent_through": "qemu",
        "guest_agent_on": "h1",
        "guest_agent_wait_seconds": 200,
    }
    inventory = folder / "machines.yml"
    inventory.write_text(json.dumps({"wanted": {"hosts": {"web": {}}, "vars": told}}))
    return run_playbook(lab, name, "-i", str(inventory), "--limit", "wanted", *arguments, **variables)


def answering(lab: Lab) -> str:
    """Return which agent answers on the port org.qemu.guest_agent.0."""
    return str(run_module(lab, lab.hosts[0], "guest_info", name="web")["agent"]["name"])


def test_it_is_installed_beside_the_other_agent_in_its_place_and_removed(lab: Lab, tmp_path: Path) -> None:
    made = play(lab, tmp_path, "vm_create")
    assert made.returncode == 0, made.output

    foreseen = play(lab, tmp_path, "guest_agent", "--check", "--diff")
    assert (foreseen.returncode, foreseen.changed()) == (0, ["web"]), foreseen.output
    beside = play(lab, tmp_path, "guest_agent")
    assert (beside.returncode, beside.changed()) == (0, ["web"]), beside.output
    assert [point["phase"] for point in beside.checkpoints("web")] == ["connecting", "agent", "agent_start", "done"]
    assert beside.last("web")["data"]["channels"] == BESIDE
    again = play(lab, tmp_path, "guest_agent")
    assert (again.returncode, again.changed()) == (0, []), again.output
    assert answering(lab) == "qemu-guest-agent"

    instead = play(lab, tmp_path, "guest_agent", guest_agent_replace_qemu=True)
    assert (instead.returncode, instead.changed()) == (0, ["web"]), instead.output
    assert answering(lab) == "commissaire-guest"
    again = play(lab, tmp_path, "guest_agent", guest_agent_replace_qemu=True)
    assert (again.returncode, again.changed()) == (0, []), again.output
    other = play(lab, tmp_path, "guest_agent", guest_agent_replace_qemu=True, guest_agent_backup=False)
    assert "does not let itself be changed by the hypervisor" in other.last("web")["message"]
    shown = run_module(
        lab, lab.hosts[0], "guest_command", name="web", argv=["systemctl", "is-enabled", "qemu-guest-agent"]
    )
    assert shown["stdout"] == "masked\n"

    removed = play(lab, tmp_path, "guest_agent", guest_agent_state="absent")
    assert (removed.returncode, removed.changed()) == (0, ["web"]), removed.output
    assert answering(lab) == "qemu-guest-agent"
    found = ["find", "/usr/local", "/etc", "/run", "/var/cache", "-name", "*singularity*"]
    assert run_module(lab, lab.hosts[0], "guest_command", name="web", argv=found)["stdout"] == ""
    assert play(lab, tmp_path, "guest_agent", guest_agent_state="absent").changed() == []

    mute = {"guest_agent_replace_qemu": True, "guest_agent_functions": ["file", "password"]}
    instead = play(lab, tmp_path, "guest_agent", **mute)
    assert (instead.returncode, instead.changed()) == (0, ["web"]), instead.output
    assert answering(lab) == "commissaire-guest"
    refused = play(lab, tmp_path, "guest_agent", **mute)
    assert "(commissaire-guest) runs no commands (guest-exec)" in refused.last("web")["message"]
    run_module(lab, lab.hosts[0], "guest_file", name="web", path="/etc/ü", content="from within the unit\n")
    read = run_module(lab, lab.hosts[0], "guest_file", name="web", path="/etc/ü", content="from within the unit\n")
    assert (read.get("failed", False), read["changed"]) == (False, False), read
