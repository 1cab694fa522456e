"""Devices plugged into running machines of QEMU and out again by their owners, over a hypervisor's TCP port."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from commissaire.auth.httpbasicauth import hash_password
from commissaire.database import Database
from commissaire.fleet.hypervisors import put_hypervisor
from commissaire.machines.command import COMMANDS
from commissaire.machines.machine import NAMESPACE
from commissaire.secrets.store import SecretStore
from lab import Lab, LabHost, hypervisor

from .controller import Controller
from .module import run_module

pytestmark = pytest.mark.integration
PASSWORD = "s3cret"
PATIENCE_SECONDS = 30
NETWORKS = ("blue", "green")
MACHINES = {"db": "ann", "web": "ann", "theirs": "bob"}
DISK = (
    '<disk type="volume" device="disk"><driver name="qemu" type="qcow2"/><source pool="default" volume="{volume}"/>'
    '<target dev="{target}" bus="scsi"/><serial>data</serial></disk>'
)
PORT = '<interface type="network"><source network="blue"/><mac address="52:54:00:aa:bb:cc"/></interface>'
WEB = f"""<domain type='qemu'><name>web</name><memory unit='MiB'>16</memory><os><type machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <metadata><commissaire:owner xmlns:commissaire='{NAMESPACE}'>ann</commissaire:owner></metadata>
  <devices><interface type='network'><source network='blue'/></interface></devices></domain>"""
"""A machine with free slots for cards, which those of today's type lack unless they are asked for."""


@dataclass
class Box:
    """A server in the default mode, and the hypervisor whose machines it answers for."""

    controller: Controller
    host: LabHost

    def ask(self, who: str, method: str, path: str, **options: Any) -> Any:
        client = self.controller._client
        return self.controller.lab.inside(client.request, method, path, auth=(who, PASSWORD), **options)

    def plug(self, who: str, command: str, xml: str, machine: str = "db") -> Any:
        owner = MACHINES[machine]
        headers = {"Content-Type": "application/xml"}
        return self.ask(who, "POST", f"/virt/{owner}/{machine}/{command}", content=xml, headers=headers)

    def virsh(self, *arguments: str) -> str:
        return str(self.host.run(["virsh", *arguments], capture_output=True, text=True).stdout)

    def becomes(self, condition: Callable[[], bool], what: str) -> None:
        self.controller.until(condition, PATIENCE_SECONDS, what)


@pytest.fixture(scope="module")
def box(lab_possible: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A hypervisor with small machines that boot nothing, and a server of users who own them."""
    folder = tmp_path_factory.mktemp("virt")
    with Lab.make(hosts=1, containers=True, disk_mb=2048, packages=hypervisor.PACKAGES) as lab:
        host = lab.hosts[0]
        hypervisor.prepare(host)
        record(folder / "data", hypervisor.listen(host))
        make_machines(lab, host)
        users = {name: {"hash": hash_password(PASSWORD, rounds=4), "role": "operator"} for name in ("ann", "bob")}
        plugins = [{"name": "httpbasicauth", "users": users}]
        configuration = folder / "commissaire.json"
        configuration.write_text(json.dumps({"authentication-plugins": plugins, "local-hypervisor": ""}))
        with Controller(lab, folder, "--config-file", str(configuration)) as controller:
            yield Box(controller, host)


def make_machines(lab: Lab, host: LabHost) -> None:
    for name in NETWORKS:
        done(run_module(lab, host, "vm_network", name=name, mode="isolated"))
    for volume in ("db-sda", "db-data", "theirs-sda"):
        done(run_module(lab, host, "vm_volume", name=volume, size_gb=0.1))
    common = {"memory_mb": 16, "virt_type": "qemu", "state": "running"}
    (host.root / "root/web.xml").write_text(WEB)
    for command in (["define", "/root/web.xml"], ["start", "web"]):
        host.run(["virsh", *command], capture_output=True)
    done(run_module(lab, host, "vm", name="db", owner="ann", disks=[{"volume": "db-sda"}], **common))
    theirs = {"disks": [{"volume": "theirs-sda"}], "networks": [{"network": "green"}]}
    done(run_module(lab, host, "vm", name="theirs", owner="bob", **theirs, **common))


def done(result: dict[str, Any]) -> None:
    assert not result.get("failed"), result.get("msg")


def record(data_dir: Path, uri: str) -> None:
    """Record the hypervisor in a server's database before its first start."""
    data_dir.mkdir(mode=0o700)
    database = Database(f"sqlite:///{data_dir / 'commissaire.db'}")
    database.migrate()
    with database.write() as session:
        put_hypervisor(session, SecretStore({}, ""), "h1", uri=uri, allowed=True, virt_type="qemu", pool="default")
    database.close()


def test_a_disk_is_plugged_in_and_out_by_its_owner(box: Box) -> None:
    disk = DISK.format(volume="db-data", target="sdb")
    plugged = box.plug("ann", "virDomainAttachDevice", disk)
    assert plugged.text.endswith("<virDomainAttachDevice><result>0</result></virDomainAttachDevice>"), plugged.text
    assert "sdb" in box.virsh("domblklist", "db")
    assert "db-data" in box.ask("ann", "GET", "/virt/ann/db").text
    again = box.plug("ann", "virDomainAttachDevice", disk)
    assert (again.status_code, "target 'sdb' duplicated" in again.json()["detail"]) == (400, True), again.text
    assert box.plug("ann", "domainDetachDevice", disk).status_code == 200
    box.becomes(lambda: "sdb" not in box.virsh("domblklist", "db"), "the disk to be gone")
    assert "sda" in box.virsh("domblklist", "db")


def test_a_port_is_plugged_into_the_definition_and_out_of_it(box: Box) -> None:
    path = "/virt/ann/db/{}?flags=2"
    options: dict[str, Any] = {"content": PORT, "headers": {"Content-Type": "application/xml"}}
    assert box.ask("ann", "POST", path.format("virDomainAttachDevice"), **options).status_code == 200
    assert "52:54:00:aa:bb:cc" in box.virsh("dumpxml", "--inactive", "db")
    assert "52:54:00:aa:bb:cc" not in box.virsh("dumpxml", "db")
    assert box.ask("ann", "POST", path.format("virDomainDetachDevice"), **options).status_code == 200
    assert "52:54:00:aa:bb:cc" not in box.virsh("dumpxml", "--inactive", "db")


def test_a_port_of_a_running_machine_has_its_statistics(box: Box) -> None:
    plugged = box.plug("ann", "virDomainAttachDevice", PORT, "web")
    assert plugged.status_code == 200, plugged.text
    stats = box.ask("ann", "GET", "/virt/ann/web/virDomainInterfaceStats?path=52:54:00:aa:bb:cc")
    assert "<rx_bytes>" in stats.text, stats.text


def test_what_is_somebody_elses_is_not_plugged_in(box: Box) -> None:
    stolen = box.plug("ann", "virDomainAttachDevice", DISK.format(volume="theirs-sda", target="sdc"))
    assert (stolen.status_code, "none of machine db's" in stolen.json()["detail"]) == (400, True)
    joined = box.plug("ann", "virDomainAttachDevice", PORT.replace("blue", "green"))
    assert (joined.status_code, "no machine of ann is on network green" in joined.json()["detail"]) == (400, True)
    assert box.plug("bob", "virDomainAttachDevice", PORT).status_code == 404
    assert "sdc" not in box.virsh("domblklist", "db")


def test_every_reading_command_is_answered_by_qemu(box: Box) -> None:
    for command in (name for name, command in COMMANDS.items() if not command.changes and "path" not in command.takes):
        answer = box.ask("bob", "GET", f"/virt/bob/theirs/{command}")
        assert answer.status_code == 200, (command, answer.text)


def test_a_machine_is_rebooted_and_told_to_shut_down(box: Box) -> None:
    for command in ("virDomainReboot", "virDomainShutdown"):
        answer = box.ask("bob", "POST", f"/virt/bob/theirs/{command}", data={"flags": "1"})
        assert answer.status_code == 200, answer.text


def test_a_hypervisor_that_hangs_is_told_and_comes_back(box: Box) -> None:
    box.host.freeze()
    answer = box.ask("ann", "GET", "/virt")
    assert (answer.status_code, "hypervisor h1 did not answer within 5 s" in answer.json()["detail"]) == (502, True)
    assert box.ask("ann", "GET", "/virt/ann/db").status_code == 502
    box.host.thaw()
    box.becomes(lambda: box.ask("ann", "GET", "/virt/ann/db").status_code == 200, "the hypervisor to be asked again")
