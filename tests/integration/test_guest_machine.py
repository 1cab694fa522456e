"""A booted virtual machine is reached into by its guest agent: first the distribution's, then ours in its place."""

from __future__ import annotations

import hashlib
import json
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from lab import Lab, hypervisor
from lab.guest import guest
from lab.ping import ping
from lab.web import served

from .module import run_module
from .playbook import Outcome, run_playbook

pytestmark = pytest.mark.integration
VLAN = 10
NETWORK = "ns:vlan_10"
NAME = "ns.example.com"
MAC = "52:54:00:00:00:10"
ROUTER = "10.78.10.1"
FIRST = "10.78.10.200"
SECRET = "Überraschung 1, mit Leerzeichen"
PATH = "/srv/Привет/grün & blau.txt"
CONTENT = "Käse\0\n".encode() * 60_000
"""Some 420 kB: several pieces, and no text."""


class Machine:
    """The machine, as the hypervisor's modules see it."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.host = lab.hosts[0]

    def module(self, name: str, *options: str, **arguments: Any) -> dict[str, Any]:
        """Return the result of a module `guest_…`."""
        return run_module(self.lab, self.host, f"guest_{name}", *options, name=NAME, **arguments)

    def done(self, name: str, *options: str, **arguments: Any) -> dict[str, Any]:
        """Return the result of a module that succeeds."""
        result = self.module(name, *options, **arguments)
        assert not result.get("failed"), result
        return result

    def playbook(self, name: str, **variables: Any) -> Outcome:
        """Run a playbook for the machine."""
        inventory = self.folder / "machines.json"
        inventory.write_text(json.dumps({"wanted": {"hosts": {NAME: variables}}}))
        return run_playbook(self.lab, name, "-i", str(inventory), "--limit", "wanted")

    def signs_in(self, address: str, password: str) -> bool:
        """Tell whether ann gets in by ssh with a password, and with nothing else."""
        asking = self.folder / "password"
        asking.write_text('#!/bin/sh\nprintf "%s\\n" "$PASSWORD"\n')
        asking.chmod(0o700)
        told = {"SSH_ASKPASS": str(asking), "SSH_ASKPASS_REQUIRE": "force", "PASSWORD": password}
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "PreferredAuthentications=password"]
        options += ["NumberOfPasswordPrompts=1", "ConnectTimeout=20"]
        command = [
            "ssh",
            "-F",
            "none",
            *(word for option in options for word in ("-o", option)),
            f"ann@{address}",
            "id",
        ]
        done = self.lab.run(command, env={**os.environ, **told}, capture_output=True, text=True)
        return done.returncode == 0 and "(ann)" in done.stdout


@pytest.fixture(scope="module")
def machine(lab_possible: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine of a cloud image, which runs Debian's agent; ann may sign in with a password, and has none."""
    folder = tmp_path_factory.mktemp("guest")
    with Lab.make(hosts=1, containers=True, disk_mb=4000, packages=hypervisor.PACKAGES) as lab:
        host = lab.hosts[0]
        hypervisor.prepare(host)
        hypervisor.connect_vlan(lab, host, VLAN)
        (host.root / "root/image.qcow2").write_bytes((guest() / "disk.qcow2").read_bytes())
        wired = run_playbook(
            lab, "vm_network_create", vm_network_name=NETWORK, vm_network_mode="openvswitch",
            vm_network_bridge=hypervisor.SWITCH, vm_network_vlan=VLAN,
        )  # fmt: skip
        assert wired.returncode == 0, wired.output
        machine = Machine(lab, folder)
        ethernet = {
            "match": {"name": "e*"},
            "addresses": [f"{FIRST}/24"],
            "routes": [{"to": "0.0.0.0/0", "via": ROUTER}],
        }
        made = machine.playbook(
            "vm_create",
            vm_create_on="h1",
            vm_create_memory_mb=512,
            vm_create_boot_timeout_seconds=300,
            vm_create_networks=[NETWORK],
            vm_create_known_hosts=str(folder / "known_hosts"),
            vm_create_image="/root/image.qcow2",
            vm_create_user="ann",
            vm_create_authorized_keys=[lab.private_key.with_suffix(".pub").read_text().strip()],
            vm_create_user_data={"ssh_pwauth": True},
            vm_create_network_config={"version": 2, "ethernets": {"eth0": ethernet}},
            ansible_user="ann",
            ansible_become=True,
            ansible_ssh_common_args=f"-o UserKnownHostsFile={folder / 'known_hosts'} -o StrictHostKeyChecking=yes",
        )
        assert made.returncode == 0, made.output
        yield machine


def mac_of(machine: Machine) -> str:
    """Return the address of the machine's port."""
    (vm,) = run_module(machine.lab, machine.host, "vm_info", name=NAME)["vms"]
    return str(vm["networks"][0]["mac"])


def reaches_into(machine: Machine, before: str, after: str) -> None:
    """See that each module does what it says, by whichever agent is in the machine; it moves to another address."""
    told = machine.done("info")
    assert (told["agent"]["dialect"], told["addresses"]) == ("qemu", [before]), told
    assert told["os"]["id"] == "debian"
    assert [key.split()[0] for key in told["host_keys"]] == ["ssh-ed25519"]

    said = machine.done(
        "command", argv=["/bin/sh", "-c", "id -u; cat; echo $X >&2"], stdin="in\n", environment={"X": "y"}
    )
    assert (said["rc"], said["stdout"], said["stderr"]) == (0, "0\nin\n", "y\n")
    assert machine.module("command", argv=["/bin/false"])["rc"] == 1

    (machine.host.root / "root/content").write_bytes(CONTENT)
    wanted = {"path": PATH, "src": "/root/content", "mode": "0640"}
    foreseen = machine.done("file", "--check", **wanted)
    made = machine.done("file", **wanted)
    again = machine.done("file", **wanted)
    assert (foreseen["changed"], made["changed"], again["changed"]) == (True, True, False)
    assert (made["file"]["sha256"], made["file"]["mode"]) == (hashlib.sha256(CONTENT).hexdigest(), "0640")
    fetched = machine.done("file", path=PATH, state="fetched", dest="/root/fetched")
    assert (machine.host.root / "root/fetched").read_bytes() == CONTENT, fetched
    assert machine.done("file", path=PATH, state="absent")["changed"]

    assert not machine.signs_in(before, f"{SECRET}{after}")
    machine.done("password", user="ann", password=f"{SECRET}{after}")
    assert machine.signs_in(before, f"{SECRET}{after}")

    port = {"mac": mac_of(machine), "ips": [{"ip": after, "netmask": "255.255.255.0"}], "gateway": ROUTER}
    foreseen = machine.done("network", "--check", "--diff", interfaces=[port])
    assert foreseen["changed"], foreseen
    assert after in json.dumps(foreseen["diff"])
    assert ping(machine.lab, before)
    assert not ping(machine.lab, after, seconds=1)
    assert machine.done("network", interfaces=[port])["changed"]
    assert ping(machine.lab, after), "it answers at its new address"
    assert not ping(machine.lab, before, seconds=1), "and at the old one no more"
    assert not machine.done("network", interfaces=[port])["changed"]


def until(seconds: float, condition: Callable[[], bool]) -> bool:
    """Wait for a condition; return whether it came."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def test_the_distributions_own_agent_is_enough(machine: Machine) -> None:
    assert machine.done("info")["agent"]["name"] == "qemu-guest-agent"
    reaches_into(machine, FIRST, "10.78.10.201")


def test_ours_takes_its_place_by_way_of_the_hypervisor_and_does_the_same(machine: Machine) -> None:
    wanted = {
        "guest_agent_through": "qemu",
        "guest_agent_on": "h1",
        "guest_agent_name": NAME,
        "guest_agent_replace_qemu": True,
    }
    installed = machine.playbook("guest_agent", **wanted)
    assert installed.returncode == 0, installed.output
    told = machine.done("info")
    assert told["agent"]["name"] == "commissaire-guest", told
    again = machine.playbook("guest_agent", **wanted)
    assert (again.returncode, again.changed()) == (0, []), again.output
    reaches_into(machine, "10.78.10.201", "10.78.10.202")


def test_it_takes_a_newer_program_and_goes_back_from_one_that_does_not_answer(machine: Machine) -> None:
    before = machine.done("info")["agent"]["version"]
    program = machine.folder / "served"
    program.mkdir()
    own = b"".join((machine.folder / name).read_bytes() for name in [copy_of_program(machine, "singularity").name])
    newer, broken = with_version(own, "9.9.9"), with_version(own, "9.9.10", "raise SystemExit(1)\n")
    (program / "newer").write_bytes(newer)
    (program / "broken").write_bytes(broken)
    with served(machine.lab, program) as url:
        updated = machine.done(
            "agent_update",
            url=f"{url}/newer",
            md5=hashlib.md5(newer, usedforsecurity=False).hexdigest(),
            version="9.9.9",
        )
        assert (updated["changed"], updated["version_before"], updated["version"]) == (True, before, "9.9.9")
        failed = machine.module("agent_update", url=f"{url}/broken", sha256=hashlib.sha256(broken).hexdigest())
        assert failed["failed"], failed
        wrong = machine.module("agent_update", url=f"{url}/newer", sha256="0" * 64)
        assert wrong["failed"], wrong
    assert until(30, lambda: machine.module("info").get("agent", {}).get("version") == "9.9.9"), "it is back"


def copy_of_program(machine: Machine, name: str) -> Path:
    """Fetch the agent's program out of the machine."""
    where = machine.done("command", argv=["readlink", "-f", f"/usr/local/bin/{name}"])["stdout"].strip()
    machine.done("file", path=where, state="fetched", dest="/root/program")
    copy = machine.folder / name
    copy.write_bytes((machine.host.root / "root/program").read_bytes())
    return copy


def with_version(program: bytes, version: str, begin: str = "") -> bytes:
    """Return the same zipapp with another version, and something before what it begins with."""
    shebang, _, archive = program.partition(b"\n")
    made = BytesIO()
    with zipfile.ZipFile(BytesIO(archive)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            if name.endswith("singularity/__init__.py"):
                head, _, rest = text.partition(b'__version__ = "')
                text = head + f'__version__ = "{version}'.encode() + rest[rest.index(b'"') :]
            elif name == "__main__.py":
                text = begin.encode() + text
            new.writestr(name, text)
    return shebang + b"\n" + made.getvalue()
