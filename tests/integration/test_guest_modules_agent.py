"""The modules that ask guest agents, against Commissaire's agent: on a unix socket in both dialects, and by xenstore.

The agent works on a folder that it takes for a machine's root.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipapp
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_vm_data import vm_data
from ansible_collections.commissaire.fleet.plugins.plugin_utils import guest_program

from direct_module import run_directly
from lab.xenstore import XenStore

from .agent_daemon import MAC, AgentDaemon

pytestmark = pytest.mark.integration

INTERFACE = {"mac": MAC, "ips": [{"ip": "192.0.2.10", "netmask": "24"}], "gateway": "192.0.2.1", "dns": ["192.0.2.53"]}
DOMID = 5


class Guest:
    """An agent, and modules that ask it in one way."""

    def __init__(self, agent: AgentDaemon, **way: Any) -> None:
        self.agent = agent
        self.way = way

    def run(self, module: str, /, check: bool = False, **arguments: Any) -> dict[str, Any]:
        return run_directly(module, check, {**self.way, **arguments})

    def does(self, module: str, /, **arguments: Any) -> dict[str, Any]:
        result = self.run(module, **arguments)
        assert not result.get("failed"), (result["msg"], self.agent.log.read_text()[-2000:])
        return result

    def file(self, path: str) -> Path:
        return self.agent.file(path)


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "singularity"
    path.write_bytes(guest_program.build())
    path.chmod(0o755)
    return path


@pytest.fixture
def agent(tmp_path: Path, program: Path) -> Iterator[AgentDaemon]:
    own = tmp_path / "singularity"  # an update replaces it
    own.write_bytes(program.read_bytes())
    own.chmod(0o755)
    with AgentDaemon(tmp_path, f"unix:{tmp_path}/socket", program=own) as agent:
        assert agent.logged("is open")
        yield agent


@pytest.fixture
def qemu(agent: AgentDaemon) -> Guest:
    return Guest(agent, transport="socket", socket=f"{agent.folder}/socket")


@pytest.fixture
def nova(agent: AgentDaemon) -> Guest:
    return Guest(agent, transport="socket", socket=f"{agent.folder}/socket", dialect="nova")


@pytest.fixture
def xen(xenstore: XenStore, tmp_path: Path, program: Path) -> Iterator[tuple[XenStore, Guest]]:
    """An agent within a domain, with quotas and permissions."""
    domain = xenstore.introduce(DOMID, "ns")
    with AgentDaemon(tmp_path, f"xenstore:{domain.path}", program=program) as agent:
        yield xenstore, Guest(agent, transport="xenstore", socket=str(xenstore.socket), name="ns")


def test_it_is_told_apart_from_others(qemu: Guest, nova: Guest) -> None:
    told = qemu.does("guest_info")
    assert (told["agent"]["name"], told["agent"]["version"]) == ("commissaire-guest", guest_program.version())
    assert "commissaire-reset-network" in told["agent"]["features"]
    assert told["hostname"] == "before"
    told = nova.does("guest_info")
    assert told["agent"]["version"] == guest_program.version()
    assert {"password", "resetnetwork"} <= {*told["agent"]["features"]}


def test_it_sets_passwords_in_both_dialects(qemu: Guest, nova: Guest) -> None:
    qemu.does("guest_password", user="ann", password="grüße s3cret")
    nova.does("guest_password", password="other s3cret")
    hashes = [line.split(":")[1] for line in qemu.file("/etc/shadow").read_text().splitlines()]
    assert all(each.startswith("$6$") for each in hashes)
    for each, password in zip(hashes, ("other s3cret", "grüße s3cret"), strict=True):
        made = subprocess.run(
            ["openssl", "passwd", "-6", "-salt", each.split("$")[2], "-stdin"],
            input=password.encode(), capture_output=True, check=True,
        )  # fmt: skip
        assert made.stdout.decode().strip() == each
    assert qemu.does("guest_password", user="ann", password=hashes[1], crypted=True)["changed"] is False
    assert "s3cret" not in qemu.agent.log.read_text()


def test_it_writes_files_in_both_dialects(qemu: Guest, nova: Guest) -> None:
    wanted = {"path": "/srv/bücher, 今日.txt", "content": "grüße\n", "mode": "0640"}
    assert qemu.does("guest_file", check=True, **wanted)["changed"] is True
    assert qemu.does("guest_file", **wanted)["changed"] is True
    file = qemu.file("/srv/bücher, 今日.txt")
    assert (file.read_text(), file.stat().st_mode & 0o7777) == ("grüße\n", 0o640)
    assert qemu.does("guest_file", **{**wanted, "mode": None})["changed"] is False
    nova.does("guest_file", path="/etc/motd", content="hello\n")
    assert nova.file("/etc/motd").read_text() == "hello\n"
    large = "x" * 900_000
    assert qemu.does("guest_file", path="/srv/large", content=large)["changed"] is True
    assert qemu.does("guest_file", path="/srv/large", content=large)["changed"] is False
    fetched = qemu.does("guest_file", path="/srv/large", state="fetched", dest=f"{qemu.agent.folder}/fetched")
    assert fetched["file"]["size"] == 900_000


def test_it_sets_a_network(qemu: Guest, nova: Guest) -> None:
    given = {"hostname": "ns.example.com", "interfaces": [INTERFACE]}
    result = qemu.does("guest_network", **given)
    assert result["changed"] is True
    assert "192.0.2.10" in qemu.file("/etc/network/interfaces").read_text()
    assert "in the dialect nova a network is told of in xenstore only" in nova.run("guest_network", **given)["msg"]


def test_its_program_sets_a_network_without_a_daemon_and_says_before_what_would_change(
    qemu: Guest, tmp_path: Path, program: Path
) -> None:
    """As it is put into a machine with another agent."""
    data = json.dumps(vm_data("ns.example.com", [INTERFACE]))
    command = [sys.executable, program, "apply", "network", "--vm-data", "-"]
    command += ["--root", qemu.agent.root, "--cache", tmp_path / "other", "--loghandler", "-"]
    outputs = []
    for options in (["--noop"], [], ["--noop"]):
        done = subprocess.run([*command, *options], input=data, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert "192.0.2.10" in outputs[0]
    assert outputs[2] == ""


def test_it_replaces_itself_by_what_it_is_given(qemu: Guest, tmp_path: Path) -> None:
    newer = other_version(tmp_path, "9.8.7")
    digest = hashlib.sha256(newer.read_bytes()).hexdigest()
    given = {"url": f"file://{newer}", "sha256": digest, "version": "9.8.7"}
    assert qemu.does("guest_agent_update", check=True, **given)["changed"] is True
    result = qemu.does("guest_agent_update", **given)
    assert (result["changed"], result["version_before"], result["version"]) == (True, guest_program.version(), "9.8.7")
    assert qemu.does("guest_info")["agent"]["version"] == "9.8.7"
    assert qemu.does("guest_agent_update", **given)["changed"] is False
    wrong = qemu.run("guest_agent_update", **{**given, "sha256": "0" * 64, "version": "9.9"})
    assert "The new version has another digest than it should have" in wrong["msg"]


def test_it_takes_another_version_in_the_nova_dialect(nova: Guest, tmp_path: Path) -> None:
    newer = other_version(tmp_path, "9.8.7")
    digest = hashlib.md5(newer.read_bytes()).hexdigest()  # noqa: S324  the dialect knows no other
    result = nova.does("guest_agent_update", url=f"file://{newer}", md5=digest, version="9.8.7")
    assert (result["version_before"], result["version"]) == (guest_program.version(), "9.8.7")


def other_version(folder: Path, version: str) -> Path:
    """Return the agent's program, which says that it has this version."""
    package = folder / "package"
    with zipfile.ZipFile(folder / "singularity") as archive:
        archive.extractall(package)
    init = package / "singularity/__init__.py"
    init.write_text(init.read_text().replace(guest_program.version(), version))
    zipapp.create_archive(package, folder / "newer", "/usr/bin/env python3")
    return folder / "newer"


def test_it_is_asked_through_a_real_xenstored(xen: tuple[XenStore, Guest]) -> None:
    store, guest = xen
    home = f"/local/domain/{DOMID}"
    assert guest.does("guest_info")["agent"]["version"] == guest_program.version()
    guest.does("guest_password", password="s3cret")
    assert guest.file("/etc/shadow").read_text().startswith("root:$6$")
    guest.does("guest_file", path="/etc/bücher", content="grüße\n")
    assert guest.file("/etc/bücher").read_text() == "grüße\n"
    assert "no more than" in guest.run("guest_file", path="/etc/large", content="x" * 5000)["msg"]
    given = {"hostname": "ns.example.com", "interfaces": [INTERFACE]}
    assert guest.does("guest_network", check=True, **given)["changed"] is True
    assert guest.does("guest_network", **given)["changed"] is True
    assert "192.0.2.10" in guest.file("/etc/network/interfaces").read_text()
    assert guest.does("guest_network", **given)["changed"] is False
    assert store.children(f"{home}/data/host") == store.children(f"{home}/data/guest") == []
