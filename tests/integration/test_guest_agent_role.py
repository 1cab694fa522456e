"""The role guest_agent on machines under systemd: the real agent, confined by its unit, and beside QEMU's own."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils import guest_program

from lab import Lab, LabHost
from lab.web import served

from .playbook import Outcome, run_playbook

pytestmark = pytest.mark.integration

SOCKET = "/run/singularity/socket"
FUNCTIONS = ["file", "hostname", "hosts", "network", "password", "resolvers", "ssh_keys", "update"]
"""All but exec, with which the unit confines nothing."""
MOST_RSS_KB = 20 * 1024
MOST_EXPOSURE = 40
"""In tenths, as systemd-analyze takes it."""
CONFIGURATION = "etc/singularity/singularity.conf"
ASK = """
import json, socket, sys
question = sys.stdin.buffer.read()
with socket.socket(socket.AF_UNIX) as agent:
    agent.settimeout(60)
    agent.connect(sys.argv[1])
    agent.sendall(question)
    answer = b""
    while not answer.endswith(b"\\n"):
        answer += agent.recv(65536)
sys.stdout.buffer.write(answer)
"""


def install(lab: Lab, *arguments: str, **variables: Any) -> Outcome:
    """Run the playbook as a user who is not root, with a unix socket and without exec unless told otherwise."""
    told = {"guest_agent_channels": [f"unix:{SOCKET}"], "guest_agent_functions": FUNCTIONS, **variables}
    return run_playbook(lab, "guest_agent", *arguments, user="operator", become=False, **told)


def installed(lab: Lab, **variables: Any) -> Outcome:
    outcome = install(lab, **variables)
    assert outcome.returncode == 0, outcome.output
    return outcome


@pytest.fixture(scope="module")
def lab(lab_possible: None) -> Iterator[Lab]:
    """A machine that has the agent."""
    with Lab.make(hosts=1) as made:
        installed(made)
        yield made


@pytest.fixture
def host(lab: Lab) -> LabHost:
    return lab.hosts[0]


def ask(host: LabHost, question: dict[str, Any]) -> dict[str, Any]:
    """Return what the agent on a host answers in the dialect of the question."""
    end = "\n\n" if "name" in question else "\n"
    done = host.run(["python3", "-c", ASK, SOCKET], input=(json.dumps(question) + end).encode(), capture_output=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def nova(host: LabHost, name: str, value: Any = "") -> str:
    """Return the message of an answer that says it was done."""
    answer = ask(host, {"name": name, "value": value})
    assert answer["returncode"] == "0", answer
    return str(answer["message"])


def qemu(host: LabHost, execute: str, **arguments: Any) -> Any:
    return ask(host, {"execute": execute, "arguments": arguments})["return"]


def shown(host: LabHost, name: str) -> str:
    """Return what systemd shows of the service."""
    show = ["systemctl", "show", f"--property={name}", "--value", "singularity.service"]
    return str(host.run(show, capture_output=True, text=True).stdout).strip()


def eventually(found: Callable[[], Any], seconds: float = 20) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def left(host: LabHost) -> list[str]:
    """Return what of the agent is on a host."""
    find = [
        "find",
        "/usr/local",
        "/etc",
        "/run",
        "/var/cache",
        "-name",
        "*singularity*",
        "-o",
        "-name",
        "commissaire-g*",
    ]
    return sorted(host.run(find, capture_output=True, text=True).stdout.split())


def test_nothing_is_changed_in_a_dry_run_nothing_twice_and_all_is_removed(lab_of: Callable[..., Lab]) -> None:
    lab = lab_of(1)
    (host,) = lab.hosts
    foreseen = install(lab, "--check", "--diff")
    assert (foreseen.returncode, foreseen.changed(), left(host)) == (0, ["h1"], []), foreseen.output
    first = installed(lab)
    assert first.changed() == ["h1"]
    assert [point["phase"] for point in first.checkpoints("h1")] == ["connecting", "agent", "agent_start", "done"]
    assert first.last("h1")["data"] == {"version": guest_program.version(), "channels": [f"unix:{SOCKET}"]}
    assert [shown(host, name) for name in ("ActiveState", "UnitFileState")] == ["active", "enabled"]
    again, foreseen = installed(lab), install(lab, "--check")
    assert (again.changed(), foreseen.returncode, foreseen.changed()) == ([], 0, []), again.output
    for name in ("singularity", "commissaire-guest"):
        host.run([name, "daemon", "status"])
    foreseen = install(lab, "--check", guest_agent_state="absent")
    assert (foreseen.returncode, foreseen.changed(), shown(host, "ActiveState")) == (0, ["h1"], "active")
    removed = installed(lab, guest_agent_state="absent")
    assert (removed.changed(), left(host)) == (["h1"], []), removed.output
    assert shown(host, "LoadState") == "not-found"
    assert installed(lab, guest_agent_state="absent").changed() == []


def test_it_answers_in_both_dialects_and_tells_what_it_does(host: LabHost) -> None:
    assert nova(host, "version", "agent") == guest_program.version()
    assert {"resetnetwork", "injectfile", "password", "agentupdate"} <= set(nova(host, "features").split(","))
    assert qemu(host, "guest-ping") == {}


def test_it_is_confined_and_small(host: LabHost) -> None:
    analyze = ["systemd-analyze", "security", "--no-pager", f"--threshold={MOST_EXPOSURE}", "singularity.service"]
    done = host.run(analyze, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    status = host.run(["cat", f"/proc/{shown(host, 'MainPID')}/status"], capture_output=True, text=True).stdout
    assert "NoNewPrivs:\t1\n" in status
    assert int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) < MOST_RSS_KB
    assert int(shown(host, "NRestarts")) == 0


def test_a_file_with_a_strange_path_is_written_from_within_the_unit(host: LabHost) -> None:
    told = base64.b64encode("/root/häßlich/☃,der Inhalt\n".encode()).decode()
    nova(host, "injectfile", told)
    written = host.root / "root/häßlich/☃"
    assert written.read_text() == "der Inhalt\n"
    assert written.parent.stat().st_mode & 0o777 == 0o755, "whoever may is to get at it"
    answer = ask(host, {"name": "injectfile", "value": base64.b64encode(b"/usr/bin/planted,x").decode()})
    assert answer["returncode"] != "0"
    assert not (host.root / "usr/bin/planted").exists()


def test_a_password_is_set_from_within_the_unit(host: LabHost) -> None:
    qemu(
        host,
        "guest-set-user-password",
        username="operator",
        password=base64.b64encode(b"s3cret").decode(),
        crypted=False,
    )
    script = "import crypt, spwd; h = spwd.getspnam('operator').sp_pwdp; print(crypt.crypt('s3cret', h) == h)"
    checked = host.run(["python3", "-W", "ignore", "-c", script], capture_output=True, text=True)
    assert checked.stdout == "True\n"
    assert (host.root / "etc/shadow").stat().st_mode & 0o777 == 0o640


def test_a_key_is_added_from_within_the_unit(host: LabHost) -> None:
    qemu(host, "guest-ssh-add-authorized-keys", username="operator", keys=["ssh-ed25519 AAAAkey ann"])
    keys = host.root / "home/operator/.ssh/authorized_keys"
    assert "ssh-ed25519 AAAAkey ann\n" in keys.read_text()
    assert keys.stat().st_uid == (host.root / "home/operator").stat().st_uid


def test_a_network_is_reset_and_a_name_taken_from_within_the_unit(host: LabHost) -> None:
    mac = host.run(["cat", "/sys/class/net/host0/address"], capture_output=True, text=True).stdout.strip()
    addresses = [
        {"ip": address, "netmask": "255.255.255.0", "enabled": "1"} for address in (host.address, "10.77.0.99")
    ]
    told = {"label": "public", "mac": mac, "ips": addresses, "dns": ["10.77.0.1"]}
    vm_data = {"hostname": "renamed", f"networking/{mac.replace(':', '').upper()}": json.dumps(told)}
    qemu(host, "commissaire-reset-network", **{"vm-data": vm_data})
    shows = host.run(["ip", "-4", "-o", "address", "show", "dev", "host0"], capture_output=True, text=True).stdout
    assert re.findall(r"inet (\S+)", shows) == [f"{host.address}/24", "10.77.0.99/24"]
    assert host.run(["hostname"], capture_output=True, text=True).stdout == "renamed\n"
    host.wait_for_ssh()


def test_an_update_is_taken_from_within_the_unit_and_the_role_brings_its_own_back(lab: Lab, tmp_path: Path) -> None:
    (host,) = lab.hosts
    newer = another("1.9.9")
    (tmp_path / "web").mkdir()
    (tmp_path / "web/new").write_bytes(newer)
    with served(lab, tmp_path / "web") as url:
        nova(host, "agentupdate", f"{url}/new,{hashlib.md5(newer, usedforsecurity=False).hexdigest()}")
        eventually(lambda: answers_with(host, "1.9.9"))
    assert shown(host, "ActiveState") == "active"
    assert installed(lab).changed() == ["h1"]
    assert answers_with(host, guest_program.version())


def another(version: str) -> bytes:
    """Return the program as if it were of another version."""
    buffer = io.BytesIO()
    buffer.write(guest_program.SHEBANG)
    with zipfile.ZipFile(io.BytesIO(guest_program.build())) as old, zipfile.ZipFile(buffer, "a") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "singularity/__init__.py":
                content = content.replace(guest_program.version().encode(), version.encode())
            new.writestr(name, content)
    return buffer.getvalue()


def answers_with(host: LabHost, version: str) -> bool:
    try:
        return nova(host, "version", "agent") == version
    except Exception:
        return False


def test_another_configuration_restarts_it_and_a_broken_one_is_told(lab: Lab) -> None:
    (host,) = lab.hosts
    before = shown(host, "MainPID")
    assert installed(lab, guest_agent_functions=["file"], guest_agent_deny_paths=["/root"]).changed() == ["h1"]
    assert shown(host, "MainPID") != before
    assert "resetnetwork" not in nova(host, "features").split(",")
    answer = ask(host, {"name": "injectfile", "value": base64.b64encode(b"/root/denied,x").decode()})
    assert answer["returncode"] != "0"
    broken = install(lab, guest_agent_channels=["telepathy"], guest_agent_wait_seconds=2)
    assert broken.returncode != 0
    assert broken.last("h1")["phase"] == "agent_start"
    assert installed(lab).changed() == ["h1"]
    assert nova(host, "version", "agent")


def test_it_reads_its_configuration_anew_without_a_restart(host: LabHost) -> None:
    before = shown(host, "MainPID")
    file = host.root / CONFIGURATION
    text = file.read_text()
    try:
        file.write_text(text.replace("functions = ", "functions = exec "))
        host.run(["systemctl", "reload", "singularity"])
        eventually(lambda: qemu_can(host, "guest-exec"))
    finally:
        file.write_text(text)
        host.run(["systemctl", "reload", "singularity"])
    eventually(lambda: not qemu_can(host, "guest-exec"))
    assert shown(host, "MainPID") == before


def qemu_can(host: LabHost, command: str) -> bool:
    commands = qemu(host, "guest-info")["supported_commands"]
    return any(each["name"] == command and each["enabled"] for each in commands)


def test_it_comes_back_when_it_was_killed_and_when_the_machine_was_restarted(host: LabHost) -> None:
    before = shown(host, "MainPID")
    host.run(["kill", "-KILL", before])
    eventually(lambda: shown(host, "MainPID") not in (before, "0") and answers_with(host, guest_program.version()))
    host.power_off()
    host.power_on()
    host.wait_for_ssh()
    eventually(lambda: answers_with(host, guest_program.version()))


def test_it_stays_stopped_when_its_own_command_stops_it_and_restarts_by_that(host: LabHost) -> None:
    before = shown(host, "MainPID")
    restarted = host.run(["singularity", "daemon", "restart"], capture_output=True, text=True)
    command = "systemctl --no-ask-password restart singularity.service"
    assert restarted.stdout == f"singularity: process {before} is supervised; this is for: {command}\n"
    assert shown(host, "MainPID") not in (before, "0")
    host.run(["singularity", "daemon", "stop"], capture_output=True)
    time.sleep(3)  # longer than RestartSec=
    assert (shown(host, "ActiveState"), shown(host, "MainPID")) == ("inactive", "0")
    host.run(["systemctl", "start", "singularity"])
    assert answers_with(host, guest_program.version())


def test_with_exec_a_command_does_what_an_administrator_does(lab: Lab) -> None:
    (host,) = lab.hosts
    installed(lab, guest_agent_functions=[])
    pid = qemu(host, "guest-exec", path="sh", arg=["-c", "mkdir /mnt/m && mount -t tmpfs m /mnt/m && touch /usr/bin/x"])
    eventually(lambda: qemu(host, "guest-exec-status", **pid)["exited"])
    assert host.run(["mountpoint", "/mnt/m"], capture_output=True).returncode == 0
    assert (host.root / "usr/bin/x").exists()
    installed(lab)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"guest_agent_user": "nobody2"}, "h1 has no user nobody2; make it first"),
        ({"guest_agent_functions": ["telepathy"]}, "telepathy"),
    ],
)
def test_what_can_not_be_is_refused_before_anything_is_changed(lab: Lab, variables: dict[str, Any], said: str) -> None:
    refused = install(lab, **variables)
    assert (refused.returncode != 0, refused.changed()) == (True, [])
    assert said in refused.output


def test_a_program_of_that_name_that_is_another_is_left_alone(lab_of: Callable[..., Lab]) -> None:
    lab = lab_of(1)
    (host,) = lab.hosts
    other = host.root / "usr/local/bin/singularity"
    other.write_text("#!/bin/sh\necho a container runtime\n")
    refused = install(lab)
    assert "/usr/local/bin/singularity is there and not of the agent" in refused.last("h1")["message"]
    assert left(host) == ["/usr/local/bin/singularity"]
    installed(lab, guest_agent_links=["commissaire-guest"], guest_agent_user="nobody")
    user = host.run(["ps", "-o", "user=", "-p", shown(host, "MainPID")], capture_output=True, text=True).stdout
    assert (user, nova(host, "version", "agent")) == ("nobody\n", guest_program.version())
    installed(lab, guest_agent_state="absent")
    assert "container" in other.read_text()


def test_it_lives_beside_qemus_agent_or_takes_its_place(lab_of: Callable[..., Lab]) -> None:
    lab = lab_of(1, packages=["qemu-guest-agent"])
    (host,) = lab.hosts

    def other() -> str:
        show = ["systemctl", "show", "--property=LoadState", "--value", "qemu-guest-agent.service"]
        return str(host.run(show, capture_output=True, text=True).stdout).strip()

    beside = installed(lab, guest_agent_channels=["auto"])
    channels = ["virtio:org.commissaire.guest_agent.0", f"unix:{SOCKET}"]
    assert (beside.last("h1")["data"]["channels"], other()) == (channels, "loaded")
    assert nova(host, "version", "agent")
    refused = install(lab, guest_agent_channels=["virtio"])
    assert "qemu-guest-agent.service of h1 has the port" in refused.last("h1")["message"]
    replacing = {"guest_agent_channels": ["auto", f"unix:{SOCKET}"], "guest_agent_replace_qemu": True}
    assert (installed(lab, **replacing).changed(), other()) == (["h1"], "masked")
    assert (installed(lab, **replacing).changed(), other()) == ([], "masked")
    assert (installed(lab, guest_agent_channels=["auto"]).changed(), other()) == (["h1"], "loaded")
    assert installed(lab, guest_agent_channels=["auto"]).changed() == []
    installed(lab, **replacing)
    installed(lab, guest_agent_state="absent")
    assert (other(), left(host)) == ("loaded", [])
