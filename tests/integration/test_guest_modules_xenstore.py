"""The modules that ask guest agents, against our agent as a daemon, through a real xenstored."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.xenstore import XenStore

from .agent_daemon import MAC, AgentDaemon
from .agent_program import md5, program, served
from .module import ENVIRONMENT
from .nova_host import NovaHost
from .test_guest_xenstore import is_password

pytestmark = pytest.mark.integration

MODULES = "ansible_collections.commissaire.fleet.plugins.modules"
DOMID = 5
NAME = "web1"
INTERFACE = {
    "mac": MAC.upper(),
    "label": "public",
    "ips": [{"ip": "192.0.2.10", "netmask": "24"}],
    "gateway": "192.0.2.1",
    "ip6s": [{"ip": "2001:db8::10", "netmask": "64"}],
    "dns": ["192.0.2.53"],
}


class Guest:
    """A domain with an agent, and modules that ask it."""

    def __init__(self, store: XenStore, agent: AgentDaemon) -> None:
        self.store, self.agent = store, agent

    def run(self, module: str, /, check: bool = False, **arguments: Any) -> dict[str, Any]:
        """Return what a module says, as Ansible runs it; it leaves no request and no reply."""
        given = {"transport": "xenstore", "socket": str(self.store.socket), "name": NAME, "timeout_seconds": 10}
        done = subprocess.run(
            [sys.executable, "-m", f"{MODULES}.{module}"],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": {**given, "_ansible_check_mode": check, **arguments}}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.lstrip().startswith("{"), done.stdout + done.stderr
        assert self.store.children(f"/local/domain/{DOMID}/data/host") == []
        assert self.store.children(f"/local/domain/{DOMID}/data/guest") == []
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def does(self, module: str, /, **arguments: Any) -> dict[str, Any]:
        result = self.run(module, **arguments)
        assert not result.get("failed"), result["msg"]
        return result

    def fails(self, module: str, /, **arguments: Any) -> str:
        result = self.run(module, **arguments)
        assert result.get("failed"), result
        return str(result["msg"])

    def vm_data(self) -> str:
        return self.store.run("ls", "-f", f"/local/domain/{DOMID}/vm-data")


@pytest.fixture
def make(xenstore: XenStore, tmp_path: Path) -> Iterator[Callable[..., Guest]]:
    domain = xenstore.introduce(DOMID, NAME)
    agents = []

    def make(*options: str, **arguments: Any) -> Guest:
        agent = AgentDaemon(tmp_path, f"xenstore:{domain.path}", *options, **arguments)
        agent.start()
        agents.append(agent)
        NovaHost(xenstore, DOMID).version()
        for name in xenstore.children(f"/local/domain/{DOMID}/data/guest"):
            xenstore.remove(f"/local/domain/{DOMID}/data/guest/{name}")
        return Guest(xenstore, agent)

    yield make
    for agent in agents:
        if agent.running():
            agent.stop()


@pytest.fixture
def guest(make: Callable[..., Guest]) -> Guest:
    return make()


def test_the_agent_is_told_of_by_name_and_by_number(guest: Guest) -> None:
    told = guest.does("guest_info")
    assert (told["changed"], told["agent"]["version"], told["agent"]["dialect"]) == (False, "1.0.0", "nova")
    assert "file_inject" in told["agent"]["features"]
    assert guest.does("guest_info", name=None, domid=DOMID)["agent"] == told["agent"]
    assert "there is no such domain" in guest.fails("guest_info", name="web2")


def test_a_playbook_asks_as_well(guest: Guest, tmp_path: Path) -> None:
    arguments = {"transport": "xenstore", "socket": str(guest.store.socket), "domid": DOMID}
    command = [Path(sys.executable).parent / "ansible", "localhost", "-m", "commissaire.fleet.guest_info"]
    done = subprocess.run(
        [*command, "-a", json.dumps(arguments)],
        env={**os.environ, **ENVIRONMENT, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    (play,) = json.loads(done.stdout)["plays"]
    assert play["tasks"][-1]["hosts"]["localhost"]["agent"]["version"] == "1.0.0"


def test_a_password_is_set_and_not_told(guest: Guest) -> None:
    shadow = guest.agent.file("/etc/shadow")
    before = shadow.read_text()
    assert guest.does("guest_password", password="s3cret ☃", check=True)["changed"] is True
    assert shadow.read_text() == before
    result = guest.does("guest_password", password="s3cret ☃")
    assert result["changed"] is True
    assert is_password("s3cret ☃", shadow)
    assert "s3cret" not in json.dumps(result) + guest.agent.log.read_text()


def test_a_file_of_any_name_and_content_is_written(guest: Guest, tmp_path: Path) -> None:
    path, source = "/etc/größe/日本.txt", tmp_path / "source"
    source.write_bytes(b"\0\xff" * 1000)
    assert guest.does("guest_file", path=path, src=str(source), check=True)["changed"] is True
    assert not guest.agent.file(path).exists()
    assert guest.does("guest_file", path=path, src=str(source))["changed"] is True
    assert guest.agent.file(path).read_bytes() == source.read_bytes()
    guest.does("guest_file", path=path, content="schön\n")
    assert guest.agent.file(path).read_text() == "schön\n"


def test_a_file_is_refused_beyond_what_xenstore_carries_and_written_up_to_it(guest: Guest) -> None:
    said = guest.fails("guest_file", path="/etc/big", content="x" * 4096)
    most = int(said.split("no more than ")[1].split()[0])
    assert 2900 < most < 3072
    guest.does("guest_file", path="/etc/big", content="x" * most)
    assert guest.agent.file("/etc/big").stat().st_size == most
    assert "too many" in guest.fails("guest_file", path="/etc/big", content="x" * (most + 1))
    assert "too many" in guest.fails("guest_file", path="/etc/big", content="x" * 2048, value_limit=2048)


def test_paths_that_the_guest_denies_are_refused(make: Callable[..., Guest]) -> None:
    guest = make("--deny-paths", "/etc/ssh", "--deny-paths", "/**/*.key")
    guest.agent.file("/srv").symlink_to("etc/ssh")
    for path in ("/etc/ssh/sshd_config", "/srv/sshd_config", "/root/x.key", "/root/../etc/ssh/sshd_config", "/etc"):
        assert "its guest agent refuses file_inject: " in guest.fails("guest_file", path=path, content="")
    guest.does("guest_file", path="/root/x", content="")


def test_a_network_is_set_once(guest: Guest) -> None:
    wanted = {"hostname": NAME, "interfaces": [INTERFACE]}
    files = [guest.agent.file(path) for path in ("/etc/network/interfaces", "/etc/hostname")]
    before = [file.read_text() for file in files]
    foreseen = guest.does("guest_network", check=True, **wanted)
    assert foreseen["changed"] is True
    assert [file.read_text() for file in files] == before
    result = guest.does("guest_network", **wanted)
    assert (result["changed"], result["diff"]) == (True, foreseen["diff"])
    assert guest.does("guest_network", **wanted)["changed"] is False
    interfaces, hostname = [file.read_text() for file in files]
    assert hostname == f"{NAME}\n"
    for words in ("iface eth0 inet static", "192.0.2.10", "iface eth0 inet6 static", "2001:db8::10"):
        assert words in interfaces


def test_a_network_that_the_agent_refuses_is_not_left_in_xenstore(guest: Guest) -> None:
    guest.does("guest_network", hostname=NAME, interfaces=[INTERFACE])
    before = guest.vm_data()
    said = guest.fails("guest_network", interfaces=[{**INTERFACE, "mac": "52:54:00:00:00:01"}])
    assert "its guest agent refuses resetnetwork" in said
    assert guest.vm_data() == before


def test_there_are_no_commands(guest: Guest) -> None:
    assert "nothing that runs commands" in guest.fails("guest_command", argv=["true"])


def test_what_the_agent_may_not_do_is_refused_by_it(make: Callable[..., Guest]) -> None:
    guest = make("--functions", "network")
    assert guest.does("guest_info")["agent"]["features"] == ["features", "resetnetwork", "version"]
    for module, arguments in {"guest_password": {"password": "x"}, "guest_file": {"path": "/a", "content": ""}}.items():
        assert guest.fails(module, **arguments)


def test_an_agent_that_is_away_is_named(guest: Guest) -> None:
    guest.agent.stop()
    assert "has not taken version within 1 s" in guest.fails("guest_info", timeout_seconds=1)


def test_the_agent_is_updated_and_stays_when_the_newer_one_is_broken(
    make: Callable[..., Guest], tmp_path: Path
) -> None:
    (tmp_path / "web").mkdir()
    newer = program(tmp_path / "web/newer", "1.1.0")
    broken = program(tmp_path / "web/broken", "1.2.0", "raise SystemExit(1)")
    guest = make(program=program(tmp_path / "singularity"))
    with served(tmp_path / "web") as url:
        wanted = {"url": f"{url}/newer", "md5": md5(newer), "version": "1.1.0", "timeout_seconds": 30}
        assert guest.does("guest_agent_update", check=True, **wanted)["changed"] is True
        assert guest.does("guest_info")["agent"]["version"] == "1.0.0"
        result = guest.does("guest_agent_update", **wanted)
        assert (result["changed"], result["version_before"], result["version"]) == (True, "1.0.0", "1.1.0")
        assert guest.does("guest_agent_update", **wanted)["changed"] is False
        said = guest.fails("guest_agent_update", url=f"{url}/broken", md5=md5(broken), version="1.2.0")
        assert "does not run" in said
    assert guest.does("guest_info")["agent"]["version"] == "1.1.0"
