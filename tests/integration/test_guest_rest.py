"""REST and commctl reach into a machine that runs Debian with its own qemu-guest-agent, through a real hypervisor."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from lab import Lab, hypervisor
from lab.guest import guest

from .controller import Controller
from .test_secrets import Search

pytestmark = pytest.mark.integration

VLAN = 10
NETWORK = "vlan_10"
WEB = "/api/v1/guests/web"
SECRET = "s3cret-{{ 7 * 7 }}-wörd"


@pytest.fixture(scope="module")
def controller(lab_possible: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    """A server with one hypervisor, on which the machine web runs."""
    with Lab.make(hosts=1, containers=True, disk_mb=4000, packages=hypervisor.PACKAGES) as lab:
        host = lab.hosts[0]
        hypervisor.prepare(host)
        hypervisor.connect_vlan(lab, host, VLAN)
        options = {"COMMISSAIRE_LOCAL_HYPERVISOR": hypervisor.listen(host), "COMMISSAIRE_GUEST_FILE_LIMIT_MB": "2"}
        with Controller(lab, tmp_path_factory.mktemp("server"), environ=options) as controller:
            wire = {"bridge": hypervisor.SWITCH, "vlan": VLAN}
            assert controller.ask("POST", f"/networks/{NETWORK}", wire, timeout=120).status_code == 201
            wanted = ["--image", str(guest() / "disk.qcow2"), "--disk", "2", "--memory", "512", "--network", NETWORK]
            wanted += ["--user", "ann", "--ssh-key", str(lab.private_key.with_suffix(".pub"))]
            made = controller.commctl(
                "vm", "create", "local/web", *wanted, "--until", "started", "--watch", timeout=200
            )
            assert made.returncode == 0, made.stdout + made.stderr
            within(420, lambda: asked(controller, "GET", "info").status_code == 200, "its agent to answer")
            settled = {"argv": ["cloud-init", "status", "--wait"], "timeout_seconds": 240}
            answer = controller.ask("POST", f"{WEB}/command?wait_seconds=280", settled, timeout=300)
            assert answer.status_code == 200, answer.text
            yield controller


def asked(controller: Controller, method: str, below: str, body: Any = None, **more: Any) -> httpx.Response:
    """Return how a request about the machine is answered."""
    return controller.ask(method, f"{WEB}/{below}", body, timeout=120, **more)


def run(controller: Controller, *argv: str) -> tuple[int, str]:
    """Run a command in the machine; return its exit code and what it printed."""
    answer = asked(controller, "POST", "command", {"argv": argv})
    assert answer.status_code == 200, answer.text
    return answer.json()["rc"], answer.json()["stdout"] + answer.json()["stderr"]


def within(seconds: float, condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.5)
    return found


@contextmanager
def nobody_sees(controller: Controller, text: str) -> Iterator[None]:
    """See that nobody finds *text* meanwhile, in arguments, environments and the server's files, nor afterwards."""
    search = Search([text[:7].encode()], [controller.data_dir], [])
    search.start()
    try:
        yield
    finally:
        search.stopping.set()
        search.join()
    search.look()
    assert search.found == set()
    assert text[:7] not in controller.log.read_text()
    folders = (controller.data_dir / "runtime", Path("/dev/shm"))
    assert [left for folder in folders for left in folder.resolve().rglob("private-*")] == []


def test_the_machine_tells_of_itself(controller: Controller) -> None:
    begin = time.monotonic()
    answer = asked(controller, "GET", "info")
    print(f"info: {time.monotonic() - begin:.2f} s")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["agent"]["name"], told["agent"]["dialect"]) == ("qemu-guest-agent", "qemu")
    assert (told["hypervisor"], told["hostname"], told["os"]["id"]) == ("local", "web", "debian")
    assert any(address.startswith("10.78.10.") for address in told["addresses"])
    shown = controller.commctl("guest", "info", "web", "-o", "json", timeout=120)
    assert shown.returncode == 0, shown.stderr
    assert told["boot_id"] in shown.stdout


def test_files_of_any_name_and_content_go_in_and_out(controller: Controller, tmp_path: Path) -> None:
    content = os.urandom(1_500_000)
    where = {"path": "/srv/smørrebrød/{{ 7 * 7 }}.bin"}
    binary = {"Content-Type": "application/octet-stream"}
    begin = time.monotonic()
    made = asked(
        controller,
        "PUT",
        "files",
        None,
        params={**where, "mode": "0640", "group": "ann"},
        content=content,
        headers=binary,
    )
    print(f"put of 1.5 MB: {time.monotonic() - begin:.2f} s")
    assert made.status_code == 201, made.text
    assert run(controller, "stat", "-c", "%a %U %G", where["path"]) == (0, "640 root ann\n")
    assert run(controller, "sha256sum", where["path"])[1].split()[0] == hashlib.sha256(content).hexdigest()
    begin = time.monotonic()
    found = asked(controller, "GET", "files", params=where)
    print(f"get of 1.5 MB: {time.monotonic() - begin:.2f} s")
    assert found.status_code == 200, found.text
    assert (found.content == content, found.headers["ETag"]) == (True, made.headers["ETag"])
    again = asked(controller, "PUT", "files", params=where, content=content, headers=binary)
    assert again.status_code == 204, "it was there"
    assert run(controller, "stat", "-c", "%a %G", where["path"]) == (0, "640 ann\n")
    (tmp_path / "motd").write_text(f"Welcome\x1b[31m {SECRET}\n")
    transfers = ("put", "web", tmp_path / "motd", "/etc/motd"), ("get", "local/web", "/etc/motd", tmp_path / "back")
    with nobody_sees(controller, SECRET):
        for words in transfers:
            done = controller.commctl("guest", *map(str, words), timeout=120)
            assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert (tmp_path / "back").read_bytes() == (tmp_path / "motd").read_bytes()
    assert stat.S_IMODE((tmp_path / "back").stat().st_mode) == 0o600
    assert controller.commctl("guest", "cat", "web", "/etc/motd", timeout=120).stdout == (tmp_path / "motd").read_text()


def test_a_file_that_is_not_there_or_too_large_is_not_had(controller: Controller) -> None:
    missing = asked(controller, "GET", "files", params={"path": "/etc/none"})
    assert (missing.status_code, "No such file" in missing.text) == (404, True), missing.text
    folder = asked(controller, "GET", "files", params={"path": "/etc"})
    assert folder.status_code == 404, folder.text
    assert run(controller, "truncate", "-s", "3M", "/srv/large")[0] == 0
    large = asked(controller, "GET", "files", params={"path": "/srv/large"})
    assert (large.status_code, "guest_file_limit_mb" in large.text) == (409, True), large.text
    refused = asked(controller, "PUT", "files", params={"path": "/srv/x"}, content=b"x" * (2 * 1024 * 1024 + 1))
    assert refused.status_code == 413


def test_commands_end_with_their_own_code(controller: Controller) -> None:
    assert run(controller, "id", "-u") == (0, "0\n")
    assert run(controller, "sh", "-c", "echo no >&2; exit 7") == (7, "no\n")
    body = {"argv": ["sh", "-c", 'cat; echo "$A {{ 7 * 7 }}"'], "stdin": SECRET, "environment": {"A": "b c"}}
    with nobody_sees(controller, SECRET):
        answer = asked(controller, "POST", "command", body)
    assert answer.json() == {
        "rc": 0, "stdout": f"{SECRET}b c {{{{ 7 * 7 }}}}\n", "stderr": "", "truncated": False, "replaced": False,
    }  # fmt: skip
    done = controller.commctl("guest", "exec", "--stdin", "web", "sh", "-c", "cat; exit 9", timeout=120, input=SECRET)
    assert (done.returncode, done.stdout, done.stderr) == (9, SECRET, "")
    lost = asked(controller, "POST", "command", {"argv": ["no-such-program"]})
    assert lost.status_code == 502, lost.text
    slow = asked(controller, "POST", "command", {"argv": ["sleep", "60"], "timeout_seconds": 2})
    assert (slow.status_code, "takes longer" in slow.text) == (504, True), slow.text
    later = asked(controller, "POST", "command?wait_seconds=0", {"argv": ["echo", SECRET]})
    assert later.status_code == 202
    answer = controller.ask("GET", f"{later.headers['Location']}?wait_seconds=60", timeout=90)
    assert answer.json()["stdout"] == f"{SECRET}\n"
    failed = [one["message"] for one in controller.ask("GET", "/api/v1/operations?kind=guest_command").json()["items"]]
    assert "web: running: the command ended with 7 (1 failed)" in failed


def test_a_password_that_was_set_lets_its_user_in(controller: Controller, tmp_path: Path) -> None:
    allowed = b"PasswordAuthentication yes\nKbdInteractiveAuthentication no\n"
    config = {"path": "/etc/ssh/sshd_config.d/00-password.conf"}
    assert asked(controller, "PUT", "files", params=config, content=allowed).status_code == 201
    assert run(controller, "systemctl", "reload", "ssh")[0] == 0
    (address,) = [one for one in asked(controller, "GET", "info").json()["addresses"] if one.startswith("10.78.")]
    helper = tmp_path / "askpass"
    helper.write_text('#!/bin/sh\nprintf "%s\\n" "$PASSWORD"\n')
    helper.chmod(0o700)

    def logs_in(password: str) -> bool:
        ssh = ["ssh", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        ssh += [
            "-o",
            "PreferredAuthentications=password",
            "-o",
            "NumberOfPasswordPrompts=1",
            f"ann@{address}",
            "id -un",
        ]
        told = {**os.environ, "SSH_ASKPASS": str(helper), "SSH_ASKPASS_REQUIRE": "force", "PASSWORD": password}
        done = controller.lab.run(ssh, env=told, capture_output=True, text=True, timeout=120)
        return bool(done.stdout == "ann\n")

    assert not logs_in(SECRET)
    with nobody_sees(controller, SECRET):
        answer = asked(controller, "PUT", "password", {"user": "ann", "password": SECRET})
    assert answer.status_code == 204, answer.text
    assert logs_in(SECRET)
    other = f"other-{SECRET}"
    done = controller.commctl("guest", "password", "web", "--user", "ann", timeout=120, input=f"{other}\n")
    assert done.returncode == 0, done.stderr
    assert (logs_in(other), logs_in(SECRET)) == (True, False)
    unknown = asked(controller, "PUT", "password", {"user": "nobody-is-called-so", "password": SECRET})
    assert (unknown.status_code, SECRET in unknown.text) == (502, False), unknown.text


def test_a_new_name_and_address_are_given(controller: Controller) -> None:
    (port, *_) = [one for one in asked(controller, "GET", "info").json()["interfaces"] if one["name"] != "lo"]
    addresses = [{"ip": "10.78.10.200", "netmask": "255.255.255.0"}]
    body = {
        "hostname": "web.example.com",
        "interfaces": [{"mac": port["mac"], "ips": addresses, "gateway": "10.78.10.1"}],
    }
    answer = asked(controller, "POST", "network", body)
    assert (answer.status_code, answer.json()) == (200, {"changed": True}), answer.text
    scan = ["ssh-keyscan", "-T", "3", "10.78.10.200"]  # unlike ping it is wherever the lab is
    within(30, lambda: controller.lab.run(scan, capture_output=True).stdout, "ssh at the new address")
    assert run(controller, "hostname")[1].strip().startswith("web")


def test_what_can_not_answer_says_so_at_once(controller: Controller) -> None:
    assert asked(controller, "POST", "command", {"argv": ["systemctl", "stop", "--no-block", "qemu-guest-agent"]})
    within(20, lambda: asked(controller, "GET", "info").status_code == 502, "the agent to be gone")
    begin = time.monotonic()
    gone = asked(controller, "GET", "info")
    assert (gone.status_code, "no guest agent is connected" in gone.text) == (502, True), gone.text
    assert time.monotonic() - begin < 2
    done = controller.commctl("guest", "exec", "web", "true", timeout=120)
    assert (done.returncode, "no guest agent is connected" in done.stderr) == (2, True)
    assert controller.ask("POST", "/api/v1/machines/local/web/poweroff", timeout=120).status_code == 200
    off = asked(controller, "PUT", "password", {"password": SECRET})
    assert (off.status_code, "start it first" in off.text) == (409, True), off.text
    assert asked(controller, "GET", "info?hypervisor=local").status_code == 409
    assert controller.ask("GET", "/api/v1/guests/none/info", timeout=120).status_code == 404
