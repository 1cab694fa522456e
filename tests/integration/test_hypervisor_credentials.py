"""A libvirt that asks who one is, by ssh, TLS and SASL: reached by the server, by its playbooks, and by bare ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import Lab, LabHost, hypervisor
from lab.guest import installer
from lab.web import served
from unit.commctl.certificates import Authority

from .controller import Controller
from .module import run_module
from .playbook import Outcome, run_playbook

pytestmark = pytest.mark.integration
KINDS = ("ssh", "tls", "sasl")
USER, PASSWORD = "ann", "s#cret=[canary]; é"
ANOTHER_HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMvNhLzLJ4vO4x4pvIbYtIbQ2iVXQh1mVY3uG7Q0pZkq"


@dataclass(frozen=True)
class Box:
    """A hypervisor, and a server that reaches it by the credentials in *folder*."""

    lab: Lab
    controller: Controller
    folder: Path

    @property
    def host(self) -> LabHost:
        return self.lab.hosts[0]

    def uri(self, kind: str) -> str:
        scheme, user = {"ssh": ("qemu+ssh", "root@"), "tls": ("qemu+tls", ""), "sasl": ("qemu+tcp", "")}[kind]
        return f"{scheme}://{user}{self.host.address}/system"

    def host_key(self) -> str:
        return self.lab.known_hosts.read_text().partition(" ")[2].strip()

    def options(self, kind: str) -> list[str]:
        """Return how commctl is given the credentials."""
        pki = ["--ca", f"{self.folder}/cacert.pem", "--certificate", f"{self.folder}/clientcert.pem"]
        return {
            "ssh": ["--ssh-key", str(self.lab.private_key), "--ssh-host-key", self.host_key()],
            "tls": [*pki, "--certificate-key", f"{self.folder}/clientkey.pem"],
            "sasl": ["--username", USER, "--password-file", "-"],
        }[kind]

    def variables(self, kind: str) -> dict[str, str]:
        """Return how a role is given them, without its prefix."""
        return {
            "uri": self.uri(kind),
            **{
                "ssh": {"private_key_file": str(self.lab.private_key), "known_hosts_file": str(self.lab.known_hosts)},
                "tls": {"pki_path": str(self.folder)},
                "sasl": {"username": USER, "password": PASSWORD},
            }[kind],
        }

    def add(self, name: str, kind: str, *options: str, password: str = PASSWORD) -> None:
        """Record it as a hypervisor of that name."""
        words = ("hypervisor", "add", name, self.uri(kind), *(options or self.options(kind)))
        done = self.controller.commctl(*words, input=password + "\n")
        assert done.returncode == 0, done.stderr

    def failure(self, name: str) -> str:
        """Return why the server can't reach a hypervisor; "" when it can."""
        return str(self.controller.ask("GET", f"/api/v1/hypervisors/{name}", timeout=60).json()["failure"])

    def play(self, role: str, playbook: str, kind: str, host: str, /, **variables: Any) -> Outcome:
        """Run one of the playbooks on this machine, without a server."""
        own = {f"{role}_{option}": value for option, value in (self.variables(kind) | variables).items()}
        own |= {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        inventory = self.folder / "controller.json"
        inventory.write_text(json.dumps({"here": {"hosts": {host: own}}}))
        return run_playbook(self.lab, playbook, "-i", str(inventory), "--limit", "here")

    def inventory(self, kind: str, folder: Path) -> dict[str, Any]:
        """Return the hosts that the inventory plugin makes of its machines."""
        source = folder / f"{kind}.machines.yml"
        uri, options = self.uri(kind), {name: told for name, told in self.variables(kind).items() if name != "uri"}
        source.write_text(json.dumps({"plugin": "commissaire.fleet.machines", "uris": [uri], **options}))
        command = [str(Path(sys.executable).parent / "ansible-inventory"), "-i", str(source), "--list"]
        done = self.lab.run(command, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return dict(json.loads(done.stdout)["_meta"]["hostvars"])


@pytest.fixture(scope="module")
def box(lab_possible: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    folder = tmp_path_factory.mktemp("credentials")
    authority = Authority(folder)
    with Lab.make(hosts=1, containers=True, disk_mb=2000, packages=hypervisor.PACKAGES) as lab:
        server, client = authority.sign("h1", hosts=[lab.hosts[0].address]), authority.sign("commissaire")
        for path, name in ((authority.path, "ca"), (client.certificate, "clientcert"), (client.key, "clientkey")):
            (folder / f"{'cacert' if name == 'ca' else name}.pem").write_bytes(path.read_bytes())
        hypervisor.prepare(lab.hosts[0])
        files = {"ca": authority.path, "certificate": server.certificate, "key": server.key}
        texts = {name: path.read_text() for name, path in files.items()}
        hypervisor.listen_to_the_known(lab.hosts[0], texts, USER, PASSWORD)
        with Controller(lab, tmp_path_factory.mktemp("server"), environ={"COMMISSAIRE_LOCAL_HYPERVISOR": ""}) as one:
            box = Box(lab, one, folder)
            for kind in KINDS:
                box.add(kind, kind)
            yield box


def networks(box: Box) -> list[str]:
    found = run_module(box.lab, box.host, "vm_network_info")["networks"]
    return [network["name"] for network in found if network["name"] != "default"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_server_and_its_playbooks_get_in(box: Box, kind: str) -> None:
    assert box.failure(kind) == ""
    listed = box.controller.ask("GET", f"/api/v1/machines?hypervisor={kind}", timeout=60).json()
    assert (listed["items"], listed["silent"]) == ([], [])
    answer = box.controller.ask("POST", f"/api/v1/vm-networks/{kind}/{kind}net", {"mode": "isolated"}, timeout=60)
    assert answer.status_code == 201, answer.text
    ended = box.controller.ended(answer.headers["Location"], 60)
    assert (ended["state"], networks(box)) == ("finished", [f"{kind}net"]), ended
    gone = box.controller.commctl("vm-network", "remove", f"{kind}/{kind}net", "--watch", timeout=60)
    assert (gone.returncode, networks(box)) == (0, []), gone.stderr


def test_a_probe_shows_by_what_machines_are_run_before_there_is_one(box: Box) -> None:
    probed = box.controller.commctl("hypervisor", "probe", "tls", "--watch", timeout=60)
    assert probed.returncode == 0, probed.stdout + probed.stderr
    shown = json.loads(box.controller.commctl("hypervisor", "list", "-o", "json").stdout)
    assert {one["name"]: one["probed_virt_type"] for one in shown} == {"ssh": "", "tls": "qemu", "sasl": ""}
    left = run_module(box.lab, box.host, "vm_volume_info", pool="default")["volumes"]
    assert left == [], "neither the guest nor its disk is left"


@pytest.mark.parametrize("kind", KINDS)
def test_a_bare_playbook_gets_in_and_so_does_virt_install(box: Box, tmp_path: Path, kind: str) -> None:
    key = box.lab.private_key.with_suffix(".pub").read_text().strip()
    with served(box.lab, tmp_path / "tree") as url:
        location = f"{url}/{installer(tmp_path / 'tree', url, key)}"
        wanted = {"disks_gb": [1], "memory_mb": 64, "virt_type": "qemu", "location": location, "until": "created"}
        made = box.play("vm_create", "vm_create", kind, f"{kind}vm", **wanted)
    assert made.returncode == 0, made.output
    assert "canary" not in made.output
    (installed,) = [result for _, result in made.results if "output" in result]
    assert "installation" in installed["output"], "virt-install began it"
    assert list(box.inventory(kind, tmp_path)) == [f"{kind}vm"]
    removed = box.play("vm_remove", "vm_remove", kind, f"{kind}vm")
    assert (removed.returncode, removed.last(f"{kind}vm")["message"]) == (0, "removed"), removed.output


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A private key that opens nothing."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    return tmp_path / "key"


def test_who_is_not_known_is_refused_and_told_why(box: Box, stranger: Path) -> None:
    mine, pki = str(box.lab.private_key), box.options("tls")
    refused = {
        ("ssh", "its SSH host key is none that is recorded"): ["--ssh-key", mine, "--ssh-host-key", ANOTHER_HOST_KEY],
        ("ssh", "its SSH server does not take the key"): [
            "--ssh-key", str(stranger), "--ssh-host-key", box.host_key(),
        ],
        ("tls", "it does not take our client certificate"): pki[:2],
        ("sasl", "it does not take this username and password"): ["--username", "bob", "--password-file", "-"],
    }  # fmt: skip
    for (kind, words), options in refused.items():
        box.add("other", kind, *options)
        failure = box.failure("other")
        assert failure.startswith(f"hypervisor other: {words}"), failure
        assert "\n" not in failure
    box.add("other", "sasl", password="wrong")
    assert "username and password" in box.failure("other")
    box.add("other", "sasl")
    assert box.failure("other") == "", "what was refused is not remembered"
    assert box.controller.commctl("hypervisor", "remove", "other").returncode == 0


def test_a_bare_playbook_trusts_no_host_key_but_those_it_is_given(box: Box, stranger: Path) -> None:
    (box.folder / "other_hosts").write_text(f"{box.host.address} {ANOTHER_HOST_KEY}\n")
    cases = {
        "its SSH host key is none that is known": {"known_hosts_file": str(box.folder / "other_hosts")},
        "its SSH server does not take our key": {"private_key_file": str(stranger)},
    }
    for words, other in cases.items():
        outcome = box.play("vm_network", "vm_network_create", "ssh", "gate", name="none", **other)
        assert (outcome.returncode, words in outcome.output) == (2, True), outcome.output


def test_nothing_of_a_server_has_a_secret_on_its_disk_or_in_its_log(box: Box) -> None:
    box.controller.stop()
    key = box.lab.private_key.read_text().splitlines()[2]
    secrets = [PASSWORD, key, (box.folder / "clientkey.pem").read_text().splitlines()[1]]
    files = [path for path in box.controller.folder.rglob("*") if path.is_file()]
    assert box.controller.log in files
    for secret in secrets:
        assert [path for path in files if secret.encode() in path.read_bytes()] == []
