"""commctl guest with a real server, on libvirt's test driver; the machines' insides are played."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.conftest import PASSWORD, USER, settings_in
from api.guest_worker import Guests, answering
from api.hypervisors import node
from api.serving import serving

pytest.importorskip("libvirt", reason="no libvirt-python: install libvirt-dev, then run make setup")
Commctl = Callable[..., subprocess.CompletedProcess[bytes]]
PATIENCE_SECONDS = 30
NASTY = b"red \x1b[31m \xff\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[tuple[Path, Guests]]:
    """A configuration of commctl's, and the machine west/web's inside."""
    folder = tmp_path_factory.mktemp("commctl")
    with serving(settings_in(folder, empty_database, local_hypervisor="")) as (url, fleet):
        path = folder / "commctl.json"
        path.write_text(json.dumps({"endpoint": url, "username": USER, "password": PASSWORD}))
        path.chmod(0o600)
        fleet.hypervisor("west", node(folder, "web"))
        with answering(fleet, folder) as guests:
            yield path, guests


@pytest.fixture
def guests(served: tuple[Path, Guests]) -> Guests:
    served[1].failure = ""
    return served[1]


@pytest.fixture
def commctl(served: tuple[Path, Guests]) -> Commctl:
    def run(*words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "commissaire.commctl.main", "-c", str(served[0]), "guest", *words]
        return subprocess.run(command, input=given, capture_output=True, timeout=PATIENCE_SECONDS, check=False)

    return run


def told(done: subprocess.CompletedProcess[bytes]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_machine_is_shown(commctl: Commctl, guests: Guests) -> None:
    for name in ("web", "west/web"):
        assert told(commctl("info", name, "-o", "json"))["agent"]["version"] == "7.2.22"
    missing = commctl("info", "none")
    assert (missing.returncode, missing.stdout, b"there is no machine none" in missing.stderr) == (
        0,
        b"No object found.\n",
        True,
    )
    assert commctl("info", "west/").stderr == b"'west/' is no HYPERVISOR/NAME\n"


def test_files_go_in_and_come_out(commctl: Commctl, guests: Guests, tmp_path: Path) -> None:
    large = os.urandom(900_000)
    (tmp_path / "here").write_bytes(large)
    done = commctl("put", "web", str(tmp_path / "here"), "/srv/große datei", "--mode", "0600", "--owner", "ann")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert guests.files["/srv/große datei"] == large
    assert commctl("get", "web", "/srv/große datei", str(tmp_path / "back")).returncode == 0
    assert (tmp_path / "back").read_bytes() == large
    assert (tmp_path / "back").stat().st_mode & 0o777 == 0o600
    assert commctl("put", "web", "-", "/etc/nasty", given=NASTY).returncode == 0
    assert commctl("cat", "web", "/etc/nasty").stdout == NASTY, "as it is into a pipe"
    assert b"can't be written" in commctl("get", "web", "/etc/nasty", str(tmp_path / "none" / "x")).stderr
    unreadable = commctl("put", "web", str(tmp_path / "none"), "/etc/x")
    assert (unreadable.returncode, b"can't be read: No such file" in unreadable.stderr) == (2, True)
    refused = commctl("put", "web", "-", "etc/x", given=b"")
    assert (refused.returncode, b"path must be absolute" in refused.stderr) == (2, True)


def test_a_command_ends_with_its_own_code(commctl: Commctl, guests: Guests) -> None:
    done = commctl("exec", "web", "echo", "-n", "--", "a b")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"-n -- a b", b"")
    assert commctl("exec", "web", "false").returncode == 3
    done = commctl("exec", "--stdin", "--env", "A=b=c", "--timeout", "9", "web", "cat", given="ä\n".encode())
    assert done.stdout == "ä\n".encode()
    private = guests.jobs[-1].private
    assert private is not None
    assert (private.variables["guest_environment"], private.variables["guest_timeout"]) == ({"A": "b=c"}, 9)
    done = commctl("exec", "web", "echo", "\N{REPLACEMENT CHARACTER}")
    assert (done.returncode, b"is no UTF-8 and was replaced" in done.stderr) == (0, True)
    assert b"NAME=VALUE" in commctl("exec", "--env", "s3cret", "web", "ls").stderr
    assert b"no UTF-8" in commctl("exec", "--stdin", "web", "cat", given=b"\xff").stderr


def test_a_password_comes_from_where_nobody_sees_it(commctl: Commctl, guests: Guests, tmp_path: Path) -> None:
    assert commctl("password", "web", "--user", "ann", given=b"s3cret\n").returncode == 0
    (tmp_path / "file").write_bytes("other\u2028x\r\nignored\n".encode())
    assert commctl("password", "web", "--password-file", str(tmp_path / "file")).returncode == 0
    assert guests.passwords == {"ann": "s3cret", "root": "other\u2028x"}
    assert b"no password" in commctl("password", "web").stderr
    (tmp_path / "file").write_text("\n")
    assert b"is empty" in commctl("password", "web", "--password-file", str(tmp_path / "file")).stderr


@pytest.mark.parametrize(("typed", "code"), [((b"typed\n", b"typed\n"), 0), ((b"typed\n", b"other\n"), 2)])
def test_a_password_is_typed_twice(
    served: tuple[Path, Guests], guests: Guests, typed: tuple[bytes, bytes], code: int
) -> None:
    guests.passwords.clear()
    command = [sys.executable, "-m", "commissaire.commctl.main", "-c", str(served[0]), "guest", "password", "web"]
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        for prompt, answer in zip(("Password: ", "again: "), typed, strict=True):
            assert prompt in said(ours, prompt)
            os.write(ours, answer)
        assert process.wait(PATIENCE_SECONDS) == code
    os.close(ours)
    assert guests.passwords == ({"root": "typed"} if code == 0 else {})


def said(terminal: int, until: str) -> str:
    text, end = "", time.monotonic() + PATIENCE_SECONDS
    while until not in text and time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            text += os.read(terminal, 4096).decode()
    return text


def test_what_is_shown_at_a_terminal_can_not_steer_it(served: tuple[Path, Guests], guests: Guests) -> None:
    guests.files["/etc/nasty"] = NASTY
    command = [
        sys.executable,
        "-m",
        "commissaire.commctl.main",
        "-c",
        str(served[0]),
        "guest",
        "cat",
        "web",
        "/etc/nasty",
    ]
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        assert said(ours, "\n") == "red  [31m \N{REPLACEMENT CHARACTER}\r\n"
        assert process.wait(PATIENCE_SECONDS) == 0
    os.close(ours)


def test_networks_are_read_from_files(commctl: Commctl, guests: Guests, tmp_path: Path) -> None:
    (tmp_path / "net.yml").write_text("interfaces:\n  - mac: 52:54:00:00:00:01\n    gateway: 10.0.0.1\n")
    assert told(commctl("network", "web", str(tmp_path / "net.yml"), "--hostname", "x", "-o", "json")) == {
        "changed": True
    }
    private = guests.jobs[-1].private
    assert private is not None
    assert private.variables["guest_hostname"] == "x"
    assert told(commctl("network", "web", "-", "-o", "json", given=b'{"hostname": "y"}')) == {"changed": True}
    for text, words in (("[1]", b"no mapping"), ("{", b"neither YAML nor JSON"), ("", b"no mapping")):
        (tmp_path / "net.yml").write_text(text)
        assert words in commctl("network", "web", str(tmp_path / "net.yml")).stderr
    assert b"nothing to do" in commctl("network", "web").stderr


def test_agents_are_updated_and_installed(commctl: Commctl, guests: Guests) -> None:
    done = commctl(
        "update", "web", "--url", "http://10.0.0.1/x", "--checksum", "0" * 64, "--version", "1.2", "-o", "json"
    )
    assert told(done) == {"changed": True, "version": "1.2"}
    private = guests.jobs[-1].private
    assert private is not None
    assert private.variables["guest_sha256"] == "0" * 64
    assert told(commctl("install", "web", "--function", "file", "--replace-qemu", "-o", "json"))["changed"] is True
    assert b"checksum" in commctl("update", "web", "--url", "http://10.0.0.1/x").stderr


def test_what_fails_is_told(commctl: Commctl, guests: Guests) -> None:
    guests.failure = "its guest agent does not answer: it is busy"
    done = commctl("exec", "web", "ls")
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, b"Gateway Timeout (504)")


def test_who_does_not_want_to_wait_is_told_how_it_goes_on(served: tuple[Path, Guests], guests: Guests) -> None:
    guests.held.clear()
    command = [sys.executable, "-m", "commissaire.commctl.main", "-c", str(served[0]), "guest", "exec", "web", "ls"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        time.sleep(3)
        process.send_signal(2)
        guests.held.set()
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130, errors
