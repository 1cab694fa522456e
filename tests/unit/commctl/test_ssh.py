"""commctl host ssh: what ssh is given, and that the key is gone afterwards. A stand-in for ssh tells what it got."""

from __future__ import annotations

import base64
import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from unit.commctl.conftest import Run
    from unit.commctl.server import ScriptedServer

KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\nx\n"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPrivateExampleOnly"
STAND_IN = """#!/usr/bin/env python3
import json, os, re, signal, stat, sys
options = dict(o.split("=", 1) for flag, o in zip(sys.argv, sys.argv[1:]) if flag == "-o")
key = options["IdentityFile"].strip('"')
seen = {"argv": sys.argv[1:], "options": options, "key": open(key).read(), "path": key}
seen["modes"] = [stat.S_IMODE(os.stat(p).st_mode) for p in (os.path.dirname(key), key)]
if "UserKnownHostsFile" in options:
    seen["known_hosts"] = open(options["UserKnownHostsFile"].strip('"')).read()
json.dump(seen, open(os.environ["SEEN"], "w"))
if "wait" in sys.argv:
    print("up", flush=True)
    signal.pause()
sys.exit(int(os.environ.get("CODE", "0")))
"""


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Any]]:
    """What the stand-in was given."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/ssh"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    (tmp_path / "run time").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run time"))
    monkeypatch.setenv("SEEN", str(tmp_path / "seen.json"))
    return lambda: json.loads((tmp_path / "seen.json").read_text())


@pytest.fixture
def host(server: ScriptedServer) -> ScriptedServer:
    """A server that knows 10.0.0.1, its key and its user."""
    encoded = base64.b64encode(KEY).decode()
    body = {"address": "10.0.0.1", "ssh_priv_key": encoded, "remote_user": "fleet"}
    server.answer("GET", "/api/v0/host/10.0.0.1/creds", 200, body)
    return server


def test_the_key_is_there_for_ssh_and_gone_afterwards(
    commctl: Run, host: ScriptedServer, seen: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    assert commctl("host", "ssh", "10.0.0.1").code == 0
    got = seen()
    assert got["key"].encode() == KEY
    assert got["modes"] == [0o700, 0o600]
    assert got["path"].startswith(f"{tmp_path}/run time/")
    assert got["argv"][-3:] == ["-l", "fleet", "10.0.0.1"]
    assert list((tmp_path / "run time").iterdir()) == []
    assert host.calls[0] == ("GET", "/api/v0/host/10.0.0.1/creds")


@pytest.mark.parametrize(
    "words", ["-v -p 9876", "-o ProxyJump=a uptime -h --help", "-- ls -l", "-c conf --output json"]
)
def test_what_follows_the_address_is_for_ssh(
    commctl: Run, host: ScriptedServer, seen: Callable[[], dict[str, Any]], words: str
) -> None:
    assert commctl("host", "ssh", "10.0.0.1", *words.split()).code == 0
    argv = seen()["argv"]
    assert argv[argv.index("10.0.0.1") + 1 :] == words.split()


def test_a_pinned_host_key_is_the_only_one_believed(
    commctl: Run, host: ScriptedServer, seen: Callable[[], dict[str, Any]]
) -> None:
    host.answer("GET", "/api/v1/hosts/10.0.0.1", 200, {"host_key": f"{HOST_KEY}\nssh-rsa AAAAB3 comment"})
    assert commctl("host", "ssh", "10.0.0.1").code == 0
    got = seen()
    assert got["known_hosts"] == f"10.0.0.1 {HOST_KEY}\n10.0.0.1 ssh-rsa AAAAB3\n"
    assert got["options"]["StrictHostKeyChecking"] == "yes"
    assert got["options"]["HostKeyAlias"] == "10.0.0.1"
    assert got["options"]["GlobalKnownHostsFile"] == "none"


@pytest.mark.parametrize("record", [None, {"host_key": None}])
def test_an_unknown_host_key_is_learnt_by_the_users_own_known_hosts(
    commctl: Run, host: ScriptedServer, seen: Callable[[], dict[str, Any]], record: dict[str, Any] | None
) -> None:
    if record is not None:
        host.answer("GET", "/api/v1/hosts/10.0.0.1", 200, record)
    assert commctl("host", "ssh", "10.0.0.1").code == 0
    assert seen()["options"]["StrictHostKeyChecking"] == "accept-new"
    assert "UserKnownHostsFile" not in seen()["options"]


def test_an_ipv6_address(commctl: Run, server: ScriptedServer, seen: Callable[[], dict[str, Any]]) -> None:
    body = {"ssh_priv_key": base64.b64encode(KEY).decode(), "remote_user": None}
    server.answer("GET", "/api/v0/host/fd00::1/creds", 200, body)
    server.answer("GET", "/api/v1/hosts/fd00::1", 200, {"host_key": HOST_KEY})
    assert commctl("host", "ssh", "fd00::1").code == 0
    assert seen()["argv"][-3:] == ["-l", "root", "fd00::1"]
    assert seen()["known_hosts"] == f"fd00::1 {HOST_KEY}\n"


def test_the_exit_code_is_that_of_ssh(
    commctl: Run, host: ScriptedServer, seen: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE", "255")
    assert commctl("host", "ssh", "10.0.0.1").code == 255


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_the_key_is_gone_after_a_signal_too(
    start: Callable[..., subprocess.Popen[str]],
    host: ScriptedServer,
    seen: Callable[[], dict[str, Any]],
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    process = start("host", "ssh", "10.0.0.1", "wait")
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    assert len(list((tmp_path / "run time").iterdir())) == 1
    process.send_signal(number)
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert list((tmp_path / "run time").iterdir()) == []


@pytest.mark.parametrize(
    ("creds", "complaint"),
    [
        ({"ssh_priv_key": "", "remote_user": "root"}, "has no private key for 10.0.0.1; delete the host"),
        ({"ssh_priv_key": None}, "has no private key for 10.0.0.1"),
        ({"ssh_priv_key": "%"}, "private key for 10.0.0.1 is no base64"),
        ({"ssh_priv_key": "eA==", "remote_user": "a -oProxyCommand=x"}, "is no name of a Unix account"),
    ],
)
def test_creds_that_open_nothing_are_told(
    commctl: Run, server: ScriptedServer, creds: dict[str, Any], complaint: str
) -> None:
    server.answer("GET", "/api/v0/host/10.0.0.1/creds", 200, creds)
    result = commctl("host", "ssh", "10.0.0.1")
    assert (result.code, result.out) == (2, "")
    assert complaint in result.err


def test_an_unknown_host_is_a_failure(commctl: Run, server: ScriptedServer) -> None:
    result = commctl("host", "ssh", "10.0.0.9")
    assert (result.code, result.out) == (2, "")
    assert result.err == "Not Found (404)\nthere is nothing at /api/v0/host/10.0.0.9/creds\n"


def test_without_ssh_it_says_what_to_install(
    commctl: Run, host: ScriptedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = commctl("host", "ssh", "10.0.0.1")
    assert result.code == 2
    assert "there is no ssh here; install OpenSSH's client" in result.err
