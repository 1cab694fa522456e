"""commctl with a real server, on libvirt's test driver."""

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
from api.consoles import Echo
from api.hypervisors import mute, node
from api.serving import serving
from commissaire.routes import machine_access

pytest.importorskip("libvirt", reason="no libvirt-python: install libvirt-dev, then run make setup")
Commctl = Callable[..., subprocess.CompletedProcess[str]]
PATIENCE_SECONDS = 30


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("commctl")
    with serving(settings_in(folder, empty_database, local_hypervisor="")) as (url, _):
        path = folder / "commctl.json"
        path.write_text(json.dumps({"endpoint": url, "username": USER, "password": PASSWORD}))
        path.chmod(0o600)
        yield path


@pytest.fixture
def commctl(configuration: Path) -> Commctl:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "commissaire.commctl.main", "-c", str(configuration), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)

    return run


@pytest.fixture
def west(commctl: Commctl, tmp_path: Path) -> Iterator[Commctl]:
    for name, machines in (("west", ("web1", "db1")), ("east", ("web1",))):
        assert commctl("hypervisor", "add", name, node(tmp_path, *machines)).returncode == 0
    yield commctl
    commctl("hypervisor", "remove", "west", "east")


def result(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_hypervisors_are_allowed_and_denied(west: Commctl) -> None:
    assert [one["name"] for one in result(west("hypervisor", "list", "-o", "json"))] == ["east", "west"]
    denied = result(west("hypervisor", "deny", "west", "-o", "json"))
    assert denied["allowed"] is False
    assert result(west("hypervisor", "show", "west", "-o", "json"))["reachable"] is False
    assert result(west("hypervisor", "allow", "west", "-o", "json")) == {**denied, "allowed": True}
    assert west("hypervisor", "allow", "north").stderr == "there is no hypervisor north\n"


def test_a_machine_is_named_alone_where_no_other_is_called_so(west: Commctl) -> None:
    assert result(west("vm", "show", "db1", "-o", "json"))["hypervisor"] == "west"
    several = west("vm", "show", "web1")
    assert (several.returncode, several.stderr) == (2, "there are several: east/web1, west/web1; name one of them\n")
    assert west("vm", "show", "web*").stderr == "no hypervisor has a machine web*\n"


def test_a_name_alone_does_not_do_while_a_hypervisor_is_silent(west: Commctl) -> None:
    with mute() as uri:
        west("hypervisor", "add", "hung", uri)
        listed = west("vm", "list", "-o", "json")
        assert len(result(listed)) == 3
        assert listed.stderr.startswith("missing: what hung has: hypervisor hung ")
        assert west("vm", "show", "db1").stderr == (
            "hung did not answer, and may have a db1, too: write HYPERVISOR/db1\n"
        )
        west("hypervisor", "remove", "hung")


def test_one_machine_that_is_refused_does_not_keep_the_others(west: Commctl) -> None:
    done = west("vm", "suspend", "west/nobody", "west/db1", "-o", "json")
    assert done.returncode == 2
    assert json.loads(done.stdout) == [{"hypervisor": "west", "name": "db1", "state": "paused"}]
    assert "west/nobody: Not Found (404)\nthere is no machine nobody on hypervisor west" in done.stderr


def test_a_machine_and_a_network_are_asked_for(west: Commctl, tmp_path: Path) -> None:
    key, data = tmp_path / "id.pub", tmp_path / "user-data"
    key.write_text("ssh-ed25519 AAAA me\n")
    data.write_text("#cloud-config\npackages: [nginx]\n")
    given = ["-m", "2048", "--disk", "8", "--network", "net", "--backing", "debian", "-p", "boot_timeout_seconds=60"]
    of_cloud = ["--ssh-key", str(key), "--user-data", str(data), "--user", "admin"]
    told = result(west("vm", "create", "west/web9", *given, *of_cloud, "-o", "json"))
    assert told["parameters"] == {
        "hypervisor": "west", "name": "web9", "memory_mb": 2048, "vcpus": 1, "disks_gb": [8.0], "networks": ["net"],
        "backing": "debian", "boot_timeout_seconds": 60, "authorized_keys": ["ssh-ed25519 AAAA me"], "user": "admin",
        "user_data": {"packages": ["nginx"]}, "until": "reachable", "existing": "fail",
    }  # fmt: skip
    data.write_text("users: [{name: a, expiredate: 2032-09-01, uid: 0123}]\nmac: 52:54:00:11:12:12\nversion: 2\n")
    other = result(west("vm", "create", "west/web8", *given, "--network-config", str(data), "-o", "json"))
    assert other["parameters"]["network_config"] == {
        "users": [{"name": "a", "expiredate": "2032-09-01", "uid": "0123"}], "mac": "52:54:00:11:12:12", "version": 2,
    }  # fmt: skip
    data.write_text("a: !!binary aGFsbG8=\n")
    assert "write it as a text" in west("vm", "create", "west/web7", *given, "--user-data", str(data)).stderr
    network = result(west("vm-network", "create", "west/lab", "--dhcp", "10.0.0.9-10.0.0.20", "-o", "json"))
    assert network["parameters"]["dhcp"] == {"start": "10.0.0.9", "end": "10.0.0.20"}
    for operation in (told, other, network):
        assert west("operation", "cancel", str(operation["id"])).returncode == 0


def test_events_are_told_a_line_each(west: Commctl) -> None:
    done = west("vm", "events", "--hypervisor", "west", "--seconds", "1", "-o", "json")
    assert [json.loads(line)["type"] for line in done.stdout.splitlines()] == ["hypervisor"]


def test_snapshots_and_screenshots(west: Commctl, tmp_path: Path) -> None:
    assert result(west("vm", "snapshot", "create", "db1", "clean", "-o", "json"))["name"] == "clean"
    assert west("vm", "snapshot", "revert", "db1", "clean").returncode == 0
    assert west("vm", "snapshot", "delete", "db1", "clean").returncode == 0
    assert result(west("vm", "snapshot", "list", "db1", "-o", "json")) == []
    assert west("vm", "screenshot", "db1", str(tmp_path / "screen.png")).returncode == 0
    assert (tmp_path / "screen.png").read_bytes().startswith(b"\x89PNG")


def test_a_console_needs_a_terminal_or_an_end(west: Commctl) -> None:
    done = west("vm", "console", "db1")
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr


def test_what_is_typed_at_a_terminal_reaches_the_console_until_it_is_left(
    west: Commctl, configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Echo, "opened", [], raising=False)
    monkeypatch.setattr(machine_access, "open_console", Echo)
    command = [sys.executable, "-m", "commissaire.commctl.main", "-c", str(configuration), "vm", "console", "db1"]
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        assert "login: " in said(ours, "login: ")
        os.write(ours, b"root\r")
        assert "ROOT" in said(ours, "ROOT")
        os.write(ours, b"\x1d")
        assert process.wait(PATIENCE_SECONDS) == 0
    os.close(ours)


def said(terminal: int, until: str) -> str:
    text, end = "", time.monotonic() + PATIENCE_SECONDS
    while until not in text and time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            text += os.read(terminal, 4096).decode()
    return text
