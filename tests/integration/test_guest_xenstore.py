"""The guest agent, obeyed by a host of OpenStack's kind, through a real xenstored."""

from __future__ import annotations

import base64
import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import LabError
from lab.xenstore import XenStore

from .agent_daemon import MAC, AgentDaemon
from .agent_program import md5, program, served
from .nova_host import AgentError, AgentNotImplemented, AgentTimeout, NovaHost

pytestmark = pytest.mark.integration

AGENTS_PRIVATE_KEY = 55187862242959574295896755863677
"""The logarithm of the agent's public key in the seed, found because p-1 has no large factor."""
WITH_THAT_KEY = f"""
import sys, types
from singularity import cli, key_exchange
key_exchange.os = types.SimpleNamespace(urandom=lambda size: ({AGENTS_PRIVATE_KEY} - 2).to_bytes(size, "big"))
sys.exit(cli.main())
"""
PASSWORD = "3JMxMps62singularity-test"
NETWORK = {
    "label": "public",
    "mac": MAC,
    "gateway": "192.0.2.1",
    "broadcast": "192.0.2.255",
    "ips": [{"ip": "192.0.2.10", "netmask": "255.255.255.0", "enabled": "1", "gateway": "192.0.2.1"}],
    "gateway_v6": "2001:db8::1",
    "ip6s": [{"ip": "2001:db8::10", "netmask": 64, "enabled": "1", "gateway": "2001:db8::1"}],
    "routes": [{"route": "198.51.100.0", "netmask": "255.255.255.0", "gateway": "192.0.2.2"}],
    "dns": ["192.0.2.53"],
}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI someone"


@dataclass
class Guest:
    """A guest of one host, with what its agent is started by."""

    host: NovaHost
    agent: Callable[..., AgentDaemon]
    home: str

    @property
    def store(self) -> XenStore:
        return self.host.store

    def write(self, text: bytes) -> str:
        """Write a request as these very bytes; return its id."""
        name = str(uuid.uuid4())
        with self.store.connect() as connection:
            connection.write(f"{self.home}/data/host/{name}", text)
        return name

    def ask(self, text: bytes, seconds: float = 10) -> Any:
        return json.loads(self.host.wait(self.write(text), seconds))

    def requests(self) -> list[str]:
        return self.store.children(f"{self.home}/data/host")

    def replies(self) -> list[str]:
        return self.store.children(f"{self.home}/data/guest")


@pytest.fixture(params=[0, 5], ids=["socket", "domain"])
def guest(xenstore: XenStore, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Guest]:
    """One that talks to xenstored's socket, as domain 0 does, and one that is a domain, with quotas and permissions."""
    domid: int = request.param
    path = xenstore.introduce(domid).path if domid else xenstore.socket
    home = xenstore.domain(domid)

    def agent(*options: str, **arguments: Any) -> AgentDaemon:
        return AgentDaemon(tmp_path, f"xenstore:{path}", *options, **arguments)

    return Guest(NovaHost(xenstore, domid, timeout_seconds=10), agent, home)


def is_password(password: str, shadow: Path, user: str = "root") -> bool:
    """Tell whether that is the user's password, as openssl hashes it."""
    (hashed,) = (line.split(":")[1] for line in shadow.read_text().splitlines() if line.startswith(f"{user}:"))
    _, kind, salt, _ = hashed.split("$")
    command = ["openssl", "passwd", f"-{kind}", "-salt", salt, "-stdin"]
    return subprocess.run(command, input=password, capture_output=True, text=True, check=True).stdout.strip() == hashed


def test_the_exchange_of_the_seed(guest: Guest) -> None:
    guest.host.write_vm_data("web1", [NETWORK])
    with guest.agent(code=WITH_THAT_KEY) as agent:
        version = guest.ask(b'{"name":"version", "value":"agent"}')
        features = guest.ask(b'{"name":"features", "value":""}')
        assert guest.ask(b'{"name":"resetnetwork", "value":""}') == {"message": "", "returncode": "0"}
        public = guest.ask(b'{"name":"keyinit", "value":"126190143978468524724357084322869"}')
        answer = guest.ask(b'{"name":"password", "value":"YXazuqvtFdagFYrwKoYhWAbaJoW9eB7f+ju7GSwhBh4="}')
    assert version["returncode"] == features["returncode"] == "0"
    assert all(part.isdecimal() for part in version["message"].split("."))
    known = {"resetnetwork", "injectfile", "version", "password", "features", "keyinit"}
    assert known < set(features["message"].split(","))
    assert public == {"message": "152515189133785336521547047713056", "returncode": "D0"}
    assert answer == {"message": "", "returncode": "0"}
    assert is_password(PASSWORD, agent.file("/etc/shadow"))
    assert guest.requests() == []


def test_nova_configures_a_guest_whose_agent_starts_late(guest: Guest) -> None:
    early = [guest.write(b'{"name": "version", "value": "agent"}') for _ in range(3)]
    files = {"/etc/motd": b"welcome\n", "/etc/größe/日本.txt": "schön\n".encode() + b"\xff\0"}
    with guest.agent() as agent:
        guest.host.configure("web1", [NETWORK], KEY, files, "s3cret ☃")
        for request in early:
            assert json.loads(guest.host.wait(request))["returncode"] == "0"
    assert KEY in agent.file("/root/.ssh/authorized_keys").read_text()
    assert {path: agent.file(path).read_bytes() for path in files} == files
    assert is_password("s3cret ☃", agent.file("/etc/shadow"))
    assert agent.file("/etc/hostname").read_text() == "web1\n"
    assert "web1" in agent.file("/etc/hosts").read_text()
    assert "nameserver 192.0.2.53" in agent.file("/etc/resolv.conf").read_text()
    interfaces = agent.file("/etc/network/interfaces").read_text()
    for words in ("iface eth0 inet static", "192.0.2.10", "iface eth0 inet6 static", "2001:db8::10", "198.51.100.0"):
        assert words in interfaces


def test_nothing_secret_is_in_the_log(guest: Guest) -> None:
    with guest.agent() as agent:
        guest.host.set_admin_password("s3cret")
        guest.host.inject_file("/etc/secret", b"s3cret")
        guest.ask(b'{"name": "password", "value": {"s3cret": "s3cret"}}')
        guest.ask(b'{"name": "s3cret", "value": "s3cret}')
        assert "s3cret" not in agent.log.read_text()
    assert "s3cret" not in "".join(path.read_text() for path in (agent.folder / "cache").glob("password*"))


@pytest.mark.parametrize(("digest", "number"), [("md5", True), ("sha256", False)])
def test_hosts_that_differ_set_a_password(guest: Guest, digest: str, number: bool) -> None:
    guest.host.digest, guest.host.key_as_number = digest, number
    with guest.agent() as agent:
        for password in ("x", "15 characters..", "16 characters...", "a" * 200):
            guest.host.set_admin_password(password)
            assert is_password(password, agent.file("/etc/shadow"))


def test_a_password_needs_a_key_exchange_of_its_own(guest: Guest) -> None:
    with guest.agent() as agent:
        guest.host.set_admin_password("first")
        for text, message in (
            (base64.b64encode(bytes(32)).decode(), "Password without key exchange"),
            ("no base64!", "Couldn't decode base64 data"),
        ):
            assert guest.host.ask("password", text) == {"returncode": "500", "message": message}
        guest.host.call("keyinit", "5", success="D0")
        answer = guest.host.ask("password", base64.b64encode(bytes(32)).decode())
        assert answer == {"returncode": "500", "message": "Invalid password data received"}
        assert is_password("first", agent.file("/etc/shadow"))


@pytest.mark.parametrize("form", ["injectfile", "file_inject", "b64_contents"])
def test_a_file_has_a_path_and_a_content_of_any_bytes(guest: Guest, form: str) -> None:
    path, content = "/etc/größe/日本,語.txt".replace(",", "" if form == "injectfile" else ","), b"a,b\xff\0\n" * 100
    encoded = {"b64_path": base64.b64encode(path.encode()).decode(), "b64_file": base64.b64encode(content).decode()}
    with guest.agent() as agent:
        if form == "injectfile":
            guest.host.call("injectfile", base64.b64encode(path.encode() + b"," + content).decode())
        elif form == "file_inject":
            guest.host.call("file_inject", encoded)
        else:
            guest.host.call("file_inject", {"b64_path": encoded["b64_path"], "b64_contents": encoded["b64_file"]})
        assert agent.file(path).read_bytes() == content


def test_what_xenstore_can_not_carry_is_refused_by_it(guest: Guest) -> None:
    with guest.agent() as agent:
        with pytest.raises(LabError, match="could not write"):
            guest.host.inject_file("/etc/big", bytes(3100))
        guest.host.inject_file("/etc/big", bytes(2900))
        assert agent.file("/etc/big").stat().st_size == 2900


def test_an_agent_that_may_do_nothing_says_so(guest: Guest) -> None:
    with guest.agent("--functions", "version") as agent:
        assert set(guest.host.features()) == {"version", "features"}
        with pytest.raises(AgentNotImplemented):
            guest.host.inject_file("/etc/motd", b"")
        for name in (
            "password",
            "keyinit",
            "injectfile",
            "file_inject",
            "resetnetwork",
            "agentupdate",
            "kmsactivate",
            "?",
        ):
            assert guest.host.ask(name, "") == {"returncode": "404", "message": "No such agent command"}
        assert not agent.file("/etc/motd").exists()


def test_replies_do_not_use_up_what_a_domain_may_have(guest: Guest) -> None:
    """A guest's node may have 2048 bytes with the names of its children, so some fifty replies fill data/guest."""
    with guest.store.connect() as connection:
        for number in range(40):  # an agent before this one left them
            connection.write(f"{guest.home}/data/guest/{number:036}", b'{"returncode": "0", "message": ""}')
    with guest.agent():
        for number in range(70):
            assert guest.host.version(), number
        for number in range(5):
            name = f"{'long' * 50}{number}"
            guest.host.write_request(name, '{"name": "version", "value": "agent"}')
            assert json.loads(guest.host.wait(name))["returncode"] == "0"


def test_the_nodes_of_requests_may_vanish(guest: Guest) -> None:
    with guest.agent():
        guest.host.version()
        guest.store.remove(f"{guest.home}/data/host")
        guest.host.version()
        guest.store.remove(f"{guest.home}/data")
        guest.store.domain(guest.host.domid)
        guest.host.version()
        for _ in range(20):
            guest.store.remove(f"{guest.home}/data/host")
            guest.host.version()


def test_a_host_that_withdraws_its_request_leaves_nothing(guest: Guest) -> None:
    guest.host.timeout_seconds = 0.2
    with pytest.raises(AgentTimeout):
        guest.host.call("version", "agent")
    assert guest.requests() == []
    guest.host.timeout_seconds = 10
    with guest.agent():
        guest.host.version()
    assert len(guest.replies()) == 1


def test_the_agent_comes_back_to_a_xenstored_that_was_killed(guest: Guest) -> None:
    with guest.agent() as agent:
        guest.host.version()
        for pause in (0.0, 1.0):
            guest.store.kill()
            time.sleep(pause)
            guest.store.start()
            guest.store.domain(guest.host.domid)
            guest.host.version()
        guest.host.set_admin_password("after")
        assert is_password("after", agent.file("/etc/shadow"))
        assert agent.running()


def test_a_xenstored_that_is_slow_is_waited_for(guest: Guest) -> None:
    with guest.agent():
        guest.host.version()
        name = guest.write(b'{"name": "version", "value": "agent"}')
        guest.store.pause(2)
        assert json.loads(guest.host.wait(name))["returncode"] == "0"


def test_a_flood_is_answered_and_then_the_next_request(guest: Guest) -> None:
    """Domain 0 has no quota. A guest's replies have to make room for each other, when the host has read them."""
    flood = 300 if guest.host.domid else 2000
    wanted = {str(number) for number in range(flood)}
    with guest.agent() as agent, guest.store.connect() as connection:
        for name in wanted:
            connection.write(f"{guest.home}/data/host/{name}", b'{"name": "version", "value": "agent"}')
        read = set()
        deadline = time.monotonic() + 60
        while read < wanted:
            read |= set(connection.children(f"{guest.home}/data/guest"))
            assert time.monotonic() < deadline, len(read)
            time.sleep(0.05)
        guest.host.set_admin_password("after")
        assert is_password("after", agent.file("/etc/shadow"))
        assert guest.requests() == []


def test_more_requests_than_a_domain_may_have_nodes_are_survived(guest: Guest) -> None:
    with guest.agent() as agent, guest.store.connect() as connection:
        for number in range(1500):
            connection.write(f"{guest.home}/data/host/{number}", b"garbage")
        within(120, lambda: guest.requests() == [])
        assert guest.host.version()
        assert agent.running()


GARBAGE = {
    "nothing": b"",
    "a NUL": b"\0",
    "no text": bytes(range(256)),
    "half an object": b'{"name": "version", ',
    "another encoding": '{"name": "version", "value": "agent"}'.encode("utf-16"),
    "an array": b"[1, 2]",
    "null": b"null",
    "a number": b"1e999",
    "a string": b'"version"',
    "depth": b"[" * 4000,
    "deep objects": b'{"name":' * 450,
    "length": b'{"name": "' + b"x" * 3900 + b'"}',
    "a name that is a number": b'{"name": 5, "value": 5}',
    "a name that is an object": b'{"name": {"name": "version"}, "value": null}',
    "a name with a path": b'{"name": "../password", "value": ""}',
    "a name of Python's": b'{"name": "__init__", "value": ""}',
    "a number that is long": b'{"name": "keyinit", "value": ' + b"9" * 3800 + b"}",
    "a key that is negative": b'{"name": "keyinit", "value": -5}',
    "a key that is a float": b'{"name": "keyinit", "value": 1.5}',
    "a key that is true": b'{"name": "keyinit", "value": true}',
    "a key that is null": b'{"name": "keyinit"}',
    "other digits": '{"name": "keyinit", "value": "١٢٣"}'.encode(),
    "a password that is a list": b'{"name": "password", "value": ["x"]}',
    "a file that is a number": b'{"name": "injectfile", "value": 7}',
    "a file without a comma": b'{"name": "injectfile", "value": "eHh4"}',
    "a file with a relative path": b'{"name": "injectfile", "value": "' + base64.b64encode(b"etc/x,y") + b'"}',
    "a file with a NUL in its path": b'{"name": "injectfile", "value": "' + base64.b64encode(b"/etc/\0x,y") + b'"}',
    "a file that is a folder": b'{"name": "injectfile", "value": "' + base64.b64encode(b"/etc,y") + b'"}',
    "a file below a file": b'{"name": "injectfile", "value": "' + base64.b64encode(b"/etc/hosts/x,y") + b'"}',
    "a file out of the root": b'{"name": "injectfile", "value": "' + base64.b64encode(b"/../../../etc/x,y") + b'"}',
    "a file with a long name": b'{"name": "injectfile", "value": "'
    + base64.b64encode(b"/" + b"x" * 300 + b",")
    + b'"}',
    "a file that is an object without a path": b'{"name": "file_inject", "value": {"b64_file": ""}}',
    "a file that is a string": b'{"name": "file_inject", "value": "x"}',
    "an update that is empty": b'{"name": "agentupdate", "value": ""}',
    "an update by a file": b'{"name": "agentupdate", "value": "file:///etc/passwd,d41d8cd98f00b204e9800998ecf8427e"}',
    "an update that is a list": b'{"name": "agentupdate", "value": [1]}',
    "no such function": b'{"name": "kmsactivate", "value": {}}',
    "no name": b'{"value": "agent"}',
}


def test_garbage_is_answered_with_an_error_and_then_the_next_request(guest: Guest) -> None:
    """Each answer is a pair of strings that no tool of the host escapes; what is empty is no request."""
    with guest.agent() as agent:
        before = {path: path.read_bytes() for path in agent.root.rglob("*") if path.is_file()}
        for what, text in GARBAGE.items():
            name = guest.write(text)
            guest.host.version()
            if not text:
                continue
            answer = json.loads(guest.host.wait(name, 10))
            assert set(answer) == {"returncode", "message"}, what
            assert answer["returncode"] in ("500", "404"), (what, answer)
            plain = answer["message"]
            assert plain, what
            assert all(" " <= one <= "~" and one not in '"\\' for one in plain), (what, plain)
        assert {path: path.read_bytes() for path in agent.root.rglob("*") if path.is_file()} == before
        assert "Traceback" not in agent.log.read_text()
        assert agent.running()


def test_a_request_may_have_what_a_hosts_tools_leave_in_it(guest: Guest) -> None:
    with guest.agent() as agent:
        encoded = base64.b64encode(b"/etc/wrapped," + b"x" * 200).decode()
        wrapped = "\n".join(encoded[start : start + 64] for start in range(0, len(encoded), 64))
        for text in (
            f' {{"name": "injectfile",\n "value": "{wrapped}\n"}}\n\0',
            f'{{"extra": {{}}, "value": "{encoded}", "name": "injectfile"}}',
        ):
            assert guest.ask(text.encode()) == {"returncode": "0", "message": ""}
        assert agent.file("/etc/wrapped").read_bytes() == b"x" * 200


@pytest.mark.parametrize("wrong", [{"ips": [{"ip": "1.2.3"}]}, {"mac": "52:54:00:00:00:01"}, {"ips": 5}])
def test_a_network_that_is_wrong_changes_nothing(guest: Guest, wrong: dict[str, Any]) -> None:
    guest.host.write_vm_data("web1", [{**NETWORK, **wrong}])
    with guest.agent() as agent:
        before = {path: path.read_bytes() for path in (agent.root / "etc").rglob("*") if path.is_file()}
        with pytest.raises(AgentError, match="'500'"):
            guest.host.reset_network()
        assert {path: path.read_bytes() for path in (agent.root / "etc").rglob("*") if path.is_file()} == before


def test_the_agent_is_small_whatever_it_has_done(guest: Guest) -> None:
    with guest.agent() as agent:
        guest.host.configure("web1", [NETWORK], KEY, {"/etc/motd": bytes(2000)}, "s3cret")
        assert status(agent.pid, "VmRSS") * 1024 < 20_000_000


def test_the_agent_waits_without_waking_up(guest: Guest) -> None:
    with guest.agent() as agent:
        guest.host.version()
        time.sleep(0.5)
        before = status(agent.pid, "voluntary_ctxt_switches")
        time.sleep(5)
        assert status(agent.pid, "voluntary_ctxt_switches") == before


def test_nova_updates_the_agent(guest: Guest, tmp_path: Path) -> None:
    installed = program(tmp_path / "singularity")
    (tmp_path / "web").mkdir()
    newer = program(tmp_path / "web/newer", "1.1.0")
    with served(tmp_path / "web") as url, guest.agent(program=installed) as agent:
        version = guest.host.version()
        assert guest.host.update_agent_if_needed(version, "1.1.0", f"{url}/newer", md5(newer))
        within(20, lambda: guest.host.version() == "1.1.0")
        assert not guest.host.update_agent_if_needed("1.1.0", "1.1.0", f"{url}/newer", md5(newer))
        guest.host.set_admin_password("after")
        assert is_password("after", agent.file("/etc/shadow"))
        assert agent.running()
    assert md5(installed) == md5(newer)


BROKEN = {
    "ends at once": "raise SystemExit(1)",
    "never answers": "import time\ntime.sleep(60)",
    "is older than its language": "this is no Python",
}


@pytest.mark.parametrize("how", [*BROKEN, "has another digest", "is not there", "is no program", "is a list"])
def test_a_version_that_does_not_answer_is_not_kept(guest: Guest, tmp_path: Path, how: str) -> None:
    installed = program(tmp_path / "singularity")
    before = md5(installed)
    (tmp_path / "web").mkdir()
    newer = program(tmp_path / "web/newer", "1.1.0", BROKEN.get(how, ""))
    if how == "is no program":
        newer.write_text("#!/bin/sh\nexit 0\n")
    digest = md5(newer)[::-1] if how == "has another digest" else md5(newer)
    value = {"is a list": "", "is not there": "/absent"}.get(how, "/newer")
    with served(tmp_path / "web") as url, guest.agent(program=installed) as agent:
        guest.host.version()
        guest.host.timeout_seconds = 30
        with pytest.raises(AgentError, match="agentupdate"):
            guest.host.update_agent(url + value, digest)
        assert guest.host.version() == "1.0.0"
        assert agent.running()
    assert md5(installed) == before
    assert sorted(path.name for path in tmp_path.glob("singularity*")) == ["singularity"]


def status(pid: int, name: str) -> int:
    """Return one of the numbers that the kernel tells of a process: VmRSS is in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def within(seconds: float, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s"
        time.sleep(0.1)
