"""The modules that ask guest agents, against Debian's real qemu-guest-agent on a unix socket.

That agent works on this machine: it runs harmless commands, touches nothing but the test's own folder, and is never
told a password or a network.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from direct_module import run_directly

pytestmark = pytest.mark.integration

BIN = Path(sys.executable).parent
LARGE = 3 * 1024 * 1024 + 17
NOTES = """\
import json, pathlib, sys
known = pathlib.Path(__file__).parent.joinpath(FOLDER)
wanted = sys.stdin.read()
known.joinpath("arguments").write_text(json.dumps(sys.argv[1:]))
applied = known.joinpath("applied")
differs = not applied.exists() or applied.read_text() != wanted
if "--noop" not in sys.argv:
    applied.write_text(wanted)
elif differs:
    print("+ what would change")
"""
"""Stands in for our agent's program: it notes what it is told, and configures nothing."""


class Guest:
    """An agent, and modules that ask it."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.files = folder / "files"
        self.files.mkdir()
        self.socket = folder / "socket"
        command = ["qemu-ga", "-m", "unix-listen", "-p", self.socket, "-t", folder, "-f", folder / "pid", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not self.socket.exists() and time.monotonic() < deadline:
            time.sleep(0.02)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    def run(self, module: str, /, check: bool = False, **arguments: Any) -> dict[str, Any]:
        """Return what a module says, as Ansible runs it."""
        return run_directly(module, check, {"transport": "socket", "socket": str(self.socket), **arguments})

    def does(self, module: str, /, **arguments: Any) -> dict[str, Any]:
        result = self.run(module, **arguments)
        assert not result.get("failed"), result["msg"]
        return result

    def fails(self, module: str, /, **arguments: Any) -> str:
        result = self.run(module, **arguments)
        assert result.get("failed"), result
        return str(result["msg"])

    def changes(self, module: str, /, **arguments: Any) -> dict[str, Any]:
        """Run a module that is to change something: a check foresees it and does nothing, a second run neither."""
        foreseen = self.does(module, check=True, **arguments)
        result = self.does(module, **arguments)
        assert (foreseen["changed"], result["changed"]) == (True, True), result
        assert foreseen.get("diff") == result.get("diff")
        assert not self.does(module, **arguments)["changed"]
        return result


@pytest.fixture(scope="module")
def program() -> None:
    if not shutil.which("qemu-ga"):
        pytest.skip("no qemu-ga here; install qemu-guest-agent (tests/lab/packages.sh does)")


@pytest.fixture
def guest(program: None, tmp_path: Path) -> Iterator[Guest]:
    guest = Guest(tmp_path)
    yield guest
    guest.end()


@pytest.fixture
def strict_guest(program: None, tmp_path: Path) -> Iterator[Guest]:
    guest = Guest(tmp_path, "--blacklist", "guest-exec,guest-exec-status,guest-set-user-password")
    yield guest
    guest.end()


def test_it_tells_what_it_is_and_what_its_machine_is_like(guest: Guest) -> None:
    told = guest.does("guest_info")
    assert told["agent"]["name"] == "qemu-guest-agent"
    assert told["agent"]["version"][0].isdigit()
    assert "guest-exec" in told["agent"]["features"]
    assert told["hostname"] == os.uname().nodename
    assert told["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert told["os"]["kernel-release"] == os.uname().release
    assert "lo" in [interface["name"] for interface in told["interfaces"]]


def test_a_file_is_made_changed_and_removed(guest: Guest) -> None:
    path = guest.files / "folder" / "bücher, 今日.txt"
    wanted: dict[str, Any] = {"path": str(path), "content": "grüße\n", "mode": "0640"}
    made = guest.changes("guest_file", **wanted)
    assert path.read_text() == "grüße\n"
    assert path.stat().st_mode & 0o7777 == 0o640
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert made["file"].items() >= {"path": str(path), "state": "present", "mode": "0640", "sha256": digest}.items()
    guest.changes("guest_file", **{**wanted, "mode": "0600"})
    assert path.stat().st_mode & 0o7777 == 0o600
    guest.changes(
        "guest_file", **{**wanted, "content": "more\n", "mode": None, "owner": "0", "group": str(os.getgid())}
    )
    assert (path.read_text(), path.stat().st_mode & 0o7777) == ("more\n", 0o600)
    gone = guest.changes("guest_file", path=str(path), state="absent")
    assert gone["file"]["state"] == "absent"
    assert [*path.parent.iterdir()] == []


def test_the_diff_shows_a_text_only_where_everybody_may_read_it(guest: Guest) -> None:
    path = str(guest.files / "file")
    diff = guest.does("guest_file", path=path, content="one\n")["diff"]
    assert diff["after"] == "mode: 0644\none\n"
    diff = guest.does("guest_file", path=path, content="two\n")["diff"]
    assert ("one\n" in diff["before"], "two\n" in diff["after"]) == (True, True)
    diff = guest.does("guest_file", path=path, content="three\n", secret=True)["diff"]
    assert not {"two", "three"} & {*diff["before"].split(), *diff["after"].split()}
    assert diff["before"] != diff["after"]
    diff = guest.does("guest_file", path=path, content="four\n", mode="0600")["diff"]
    assert not {"three", "four"} & {*diff["before"].split(), *diff["after"].split()}


def test_a_large_file_goes_in_pieces_and_comes_back_as_it_was(guest: Guest, tmp_path: Path) -> None:
    source, path, dest = tmp_path / "source", guest.files / "large", tmp_path / "fetched"
    source.write_bytes(os.urandom(LARGE))
    guest.changes("guest_file", path=str(path), src=str(source))
    assert path.read_bytes() == source.read_bytes()
    fetched = guest.run("guest_file", check=True, path=str(path), state="fetched", dest=str(dest))
    assert (fetched["changed"], dest.exists()) == (True, False)
    fetched = guest.changes("guest_file", path=str(path), state="fetched", dest=str(dest))
    assert (fetched["file"]["size"], fetched["fetched_to"]) == (LARGE, str(dest))
    assert dest.read_bytes() == source.read_bytes()
    assert dest.stat().st_mode & 0o7777 == 0o600


def test_a_link_is_followed_to_be_written_and_not_to_be_removed(guest: Guest) -> None:
    path, target = guest.files / "link", guest.files / "target"
    target.write_text("old\n")
    path.symlink_to(target)
    guest.changes("guest_file", path=str(path), content="new\n")
    assert (path.is_symlink(), target.read_text()) == (True, "new\n")
    guest.changes("guest_file", path=str(path), state="absent")
    assert (path.is_symlink(), target.read_text()) == (False, "new\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"path": "relative", "content": ""}, "path relative is not absolute; begin it with /"),
        ({"path": "{files}"}, "file {files}: it is no regular file"),
        ({"path": "{files}/none"}, "file {files}/none: it is not there; give its content"),
        ({"path": "{files}", "state": "absent"}, "file {files}: it is no regular file, but a folder"),
        ({"path": "{files}/none", "state": "fetched", "dest": "{files}/dest"}, "No such file or directory"),
        ({"path": "{files}/file", "content_b64": "%"}, "content_b64 is no base64"),
        ({"path": "{files}/file", "src": "/nowhere"}, "src /nowhere can't be read where the module runs"),
        ({"path": "{files}/file", "content": "", "mode": "u=rw"}, "mode u=rw is not octal; write it as '0640'"),
        ({"path": "{files}/file", "content": "", "owner": "nobody-here"}, "nobody-here"),
    ],
)
def test_what_can_not_be_is_told_by_its_name_and_cause(guest: Guest, arguments: dict[str, str], words: str) -> None:
    given = {name: value.format(files=guest.files) for name, value in arguments.items()}
    assert words.format(files=guest.files) in guest.fails("guest_file", **given)
    assert [*guest.files.iterdir()] == []


def test_a_command_says_how_it_ended(guest: Guest) -> None:
    script = 'read line; echo "$line $NAME"; echo why >&2; exit "$1"'
    given = {"argv": ["sh", "-c", script, "sh", "0"], "stdin": "hello\n", "environment": {"NAME": "ann"}}
    ended = guest.does("guest_command", **given)
    assert (ended["changed"], ended["rc"], ended["stdout"], ended["stderr"]) == (True, 0, "hello ann\n", "why\n")
    failed = guest.run("guest_command", **{**given, "argv": ["sh", "-c", script, "sh", "3"]})
    assert (failed["failed"], failed["rc"], failed["msg"]) == (True, 3, "sh has ended with 3: why")
    assert ended["replaced"] is False
    ended = guest.does("guest_command", argv=["printf", "\\303\\244\\377"])
    assert (ended["stdout"], ended["replaced"]) == ("ä\N{REPLACEMENT CHARACTER}", True)
    ended = guest.run("guest_command", argv=["sh", "-c", "kill -TERM $$"])
    assert (ended["failed"], ended["rc"]) == (True, 128 + 15)


def test_a_command_is_not_run_in_check_mode(guest: Guest) -> None:
    result = guest.run("guest_command", check=True, argv=["touch", str(guest.files / "touched")])
    assert (result["changed"], result["skipped"]) == (False, True)
    assert [*guest.files.iterdir()] == []


def test_a_command_that_takes_too_long_is_ended(guest: Guest) -> None:
    place = guest.files / "pid"
    words = guest.fails("guest_command", argv=["sh", "-c", f"echo $$ >{place}; exec sleep 60"], timeout=1)
    assert "sh takes longer than 1 s within the machine; it was ended" in words
    deadline = time.monotonic() + 5
    while Path("/proc", place.read_text().strip()).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path("/proc", place.read_text().strip()).exists()


def test_secrets_are_in_nothing_that_a_module_says(guest: Guest) -> None:
    for given in ({"content": "s3cret-s3cret"}, {"content_b64": "czNjcmV0LXMzY3JldA=="}):
        told = json.dumps(guest.does("guest_file", path=str(guest.files / "file"), mode="0600", **given))
        assert "s3cret" not in told
        assert "czNjcmV0" not in told
    given = {"stdin": "s3cret-s3cret", "environment": {"TOKEN": "t0ken-t0ken"}}
    told = json.dumps(guest.does("guest_command", argv=["sh", "-c", "cat; echo 11 $TOKEN"], **given))
    assert not {"s3cret", "t0ken"} & {*told.replace("-", " ").split()}
    assert "s3cret" not in told
    assert "t0ken" not in told
    told = json.dumps(guest.run("guest_password", check=True, password="s3cret-s3cret"))
    assert "s3cret" not in told


def test_a_password_is_only_foreseen_in_check_mode(guest: Guest) -> None:
    assert guest.run("guest_password", check=True, user="nobody-here", password="x")["changed"] is True
    assert "a password has one line" in guest.fails("guest_password", check=True, password="a\nb")


def test_a_network_is_set_by_a_program_that_is_put_there_for_a_moment(guest: Guest, tmp_path: Path) -> None:
    program = tmp_path / "stand_in.py"
    program.write_text(NOTES.replace("FOLDER", repr(str(guest.files))))
    interface = {"mac": "52:54:00:12:34:56", "ips": [{"ip": "192.0.2.10", "netmask": "24"}], "gateway": "192.0.2.1"}
    given = {"hostname": "ns.example.com", "interfaces": [interface], "agent_program": str(program)}
    changed = guest.changes("guest_network", **given)
    assert changed["diff"] == {"prepared": "+ what would change\n"}
    applied = json.loads((guest.files / "applied").read_text())
    assert applied["hostname"] == "ns.example.com"
    told = json.loads(applied["networking/525400123456"])
    assert told["ips"] == [{"ip": "192.0.2.10", "netmask": "255.255.255.0", "enabled": "1"}]
    assert told == changed["vm_data"]["networking/525400123456"]
    assert json.loads((guest.files / "arguments").read_text())[:4] == ["apply", "network", "--vm-data", "-"]
    assert [*Path("/run").glob("commissaire.*/singularity")] == []


def test_a_foreign_agent_is_not_updated(guest: Guest) -> None:
    words = guest.fails("guest_agent_update", url="http://127.0.0.1/x", md5="0" * 32)
    assert "its agent is qemu-guest-agent" in words
    assert "the role guest_agent puts Commissaire's into a machine" in words


def test_an_agent_that_allows_no_commands_says_so_and_how_to_allow_them(strict_guest: Guest) -> None:
    words = strict_guest.fails("guest_command", argv=["true"])
    assert "its guest agent has blocked guest-exec; allow it there" in words
    assert "has blocked guest-set-user-password" in strict_guest.fails("guest_password", check=True, password="x")


def test_an_agent_that_allows_no_commands_writes_to_a_file_that_is_there(strict_guest: Guest) -> None:
    path = strict_guest.files / "file"
    assert "has blocked guest-exec" in strict_guest.fails("guest_file", path=str(path), content="new\n")
    path.write_text("old\n")
    path.chmod(0o600)
    result = strict_guest.changes("guest_file", path=str(path), content="new\n")
    assert (path.read_text(), path.stat().st_mode & 0o7777) == ("new\n", 0o600)
    assert "new" not in result["diff"]["after"]
    assert "has blocked guest-exec" in strict_guest.fails("guest_file", path=str(path), state="absent")


def test_a_socket_without_an_agent_is_told(guest: Guest, tmp_path: Path) -> None:
    words = guest.fails("guest_info", socket=str(tmp_path / "none"))
    assert f"nobody answers on the socket {tmp_path}/none" in words
    assert words.endswith("is the machine on?")


def test_ansible_hands_the_program_over_by_itself(guest: Guest) -> None:
    """By an action, as a playbook has it; the agent of Debian's then refuses to be updated."""
    command = [BIN / "ansible", "localhost", "-m", "commissaire.fleet.guest_agent_update", "-a"]
    arguments = {"transport": "socket", "socket": str(guest.socket)}
    environment = {**os.environ, "ANSIBLE_LOCALHOST_WARNING": "0"}
    done = subprocess.run(
        [*command, json.dumps(arguments)], cwd="/", env=environment, capture_output=True, text=True, check=False
    )
    assert "its agent is qemu-guest-agent" in done.stdout, done.stdout + done.stderr


def played(guest: Guest, playbook: str, variables: Path) -> str:
    """Return what a playbook said that has these variables, besides how the agent is reached."""
    reached = {"guest_transport": "socket", "guest_socket": str(guest.socket)}
    command = [BIN / "ansible-playbook", f"commissaire.fleet.{playbook}", "-i", "web,", "-e", json.dumps(reached)]
    environment = {**os.environ, "ANSIBLE_LOCALHOST_WARNING": "0"}
    done = subprocess.run(
        [*command, "-e", f"@{variables}"], cwd="/", env=environment, capture_output=True, text=True, check=False
    )
    return f"{done.returncode} {done.stdout}{done.stderr}"


def test_a_playbook_hands_on_what_a_file_of_variables_says(guest: Guest, tmp_path: Path) -> None:
    path, variables = guest.files / "played", tmp_path / "variables.yml"
    variables.write_text(f"guest_path: {path}\nguest_mode: 0640\nguest_content: '{{\"a\": true}}'\n")
    said = played(guest, "guest_file", variables)
    assert said.startswith("0 "), said
    assert (path.read_text(), path.stat().st_mode & 0o7777) == ('{"a": true}', 0o640)
    variables.write_text(f"guest_path: {path}\nguest_content: other\n")
    said = played(guest, "guest_file", variables)
    assert said.startswith("0 "), said
    assert (path.read_text(), path.stat().st_mode & 0o7777) == ("other", 0o640)
    variables.write_text(f"guest_argv: [tee, {path}]\nguest_stdin: '[\"007\",  null]'\n")
    said = played(guest, "guest_command", variables)
    assert said.startswith("0 "), said
    assert path.read_text() == '["007",  null]'
    variables.write_text("guest_password: 007\n")
    said = played(guest, "guest_password", variables)
    assert (said[:2], "guest_password is a number" in said) == ("2 ", True), said
