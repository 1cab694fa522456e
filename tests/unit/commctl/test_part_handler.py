"""What the part handler does on a host, without cloud-init; tests/integration/test_cloud_init.py has the real one."""

from __future__ import annotations

import ast
import base64
import json
import os
import pwd
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from commissaire.commctl import part_handler
from unit.commctl.certificates import Authority
from unit.commctl.server import ScriptedServer, problem

ME = pwd.getpwuid(os.getuid())
BODY = {"ssh_priv_key": "eA==", "remote_user": "root", "ssh_host_key": "ssh-ed25519 AAAA", "cluster": "web"}


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it would have slept, each time."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    return slept


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that are found first."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def stand_in(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def settings(server: ScriptedServer, **more: str) -> dict[str, str]:
    return {"endpoint": server.endpoint, "username": "boot", "password": "pa:ss wörd", **more}


def test_the_host_tells_the_server_of_itself(server: ScriptedServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.answer("PUT", "/api/v0/host", 201, {"address": "10.0.0.1"})
    part_handler.register(settings(server), BODY)
    (request,) = server.requests
    assert request.json == BODY
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Authorization"] == f"Basic {base64.b64encode('boot:pa:ss wörd'.encode()).decode()}"
    assert capsys.readouterr().out == "commissaire: registered as 10.0.0.1\n"


def test_a_server_in_trouble_is_asked_again_ever_more_slowly(server: ScriptedServer, naps: list[float]) -> None:
    for status in (500, 502, 503, 429, 500, 500, 500):
        server.answer("PUT", "/api/v0/host", status, b"<html>")
    server.answer("PUT", "/api/v0/host", 200, b"not json")
    server.answer("PUT", "/api/v0/host", 201, {"address": "10.0.0.1"})
    part_handler.register(settings(server), BODY)
    assert naps == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_server_that_is_away_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, naps: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    class Enough(Exception):
        pass

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            raise Enough

    monkeypatch.setattr("time.sleep", nap)
    with pytest.raises(Enough):
        part_handler.register({"endpoint": "http://127.0.0.1:1", "username": "u", "password": "secret-7"}, BODY)
    printed = "".join(capsys.readouterr())
    assert "again in 4 s" in printed
    for told in ("secret-7", base64.b64encode(b"u:secret-7").decode()):
        assert told not in printed


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
def test_a_refusal_ends_with_the_servers_words_and_the_next_step(
    server: ScriptedServer, naps: list[float], status: int
) -> None:
    server.answer("PUT", "/api/v0/host", status, problem(status, "No", "there is no cluster web"))
    with pytest.raises(SystemExit) as end:
        part_handler.register(settings(server), BODY)
    assert f"{server.endpoint} refused: {status} " in str(end.value)
    assert "there is no cluster web" in str(end.value)
    assert "systemctl restart commissaire-register.service" in str(end.value)
    assert "pa:ss" not in str(end.value)
    assert naps == []


def test_only_the_authority_that_travelled_along_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    pair = authority.sign("server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    with ScriptedServer(tls=context) as server:
        server.answer("PUT", "/api/v0/host", 201, {"address": "10.0.0.1"})
        known = settings(server, certificate_authority=authority.path.read_text())
        assert part_handler.put(known, BODY) == {"address": "10.0.0.1"}
        for text in ("", Authority(tmp_path).path.read_text()):
            with pytest.raises(OSError, match="certificate verify failed"):
                part_handler.put({**known, "certificate_authority": text}, BODY)
        assert len(server.requests) == 1


def test_the_key_is_made_once_and_authorized_once(tmp_path: Path) -> None:
    key, authorized = tmp_path / "new/deep key", tmp_path / "other/authorized_keys"
    public = part_handler.ensure_key(str(key), ME)
    assert (key.stat().st_mode & 0o777, key.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    private = key.read_text()
    assert part_handler.ensure_key(str(key), ME) == public
    assert key.read_text() == private
    for _ in range(2):
        part_handler.authorize(str(authorized), public, ME)
    assert authorized.read_text() == f"{public}\n"
    assert authorized.stat().st_mode & 0o777 == 0o600


def test_what_was_authorized_stays(tmp_path: Path) -> None:
    authorized = tmp_path / "authorized_keys"
    authorized.write_text("ssh-ed25519 OTHER somebody")
    authorized.chmod(0o644)
    part_handler.authorize(str(authorized), "ssh-ed25519 MINE commissaire", ME)
    assert authorized.read_text() == "ssh-ed25519 OTHER somebody\nssh-ed25519 MINE commissaire\n"
    assert authorized.stat().st_mode & 0o777 == 0o644


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "shadow").write_text("root")
    (tmp_path / "authorized_keys").symlink_to(tmp_path / "shadow")
    with pytest.raises(OSError, match="symbolic links"):
        part_handler.authorize(str(tmp_path / "authorized_keys"), "ssh-ed25519 MINE", ME)
    assert (tmp_path / "shadow").read_text() == "root"


def test_selinux_gets_to_label_what_was_written(tmp_path: Path, programs: Path) -> None:
    stand_in(programs / "restorecon", f'echo "$@" >{tmp_path}/labelled')
    part_handler.authorize(str(tmp_path / "ssh/authorized_keys"), "ssh-ed25519 MINE", ME)
    assert (tmp_path / "labelled").read_text() == f"-R {tmp_path}/ssh\n"


def test_the_best_of_the_keys_that_sshd_has_is_told(tmp_path: Path, programs: Path, naps: list[float]) -> None:
    kinds = {"rsa": "ssh-rsa", "dsa": "ssh-dss", "ecdsa": "ecdsa-sha2-nistp256", "ed25519": "ssh-ed25519"}
    lines = [f"echo hostkey {tmp_path}/{name}" for name in kinds]
    stand_in(programs / "sshd", "\n".join([f'[ "$0 $1" = "{programs}/sshd -T" ] || exit 1', "echo port 22", *lines]))
    naps_before = list(naps)
    assert part_handler.host_keys() == []
    for name, kind in kinds.items():
        (tmp_path / f"{name}.pub").write_text(f"{kind} AAAA{name} root@h1\n")
    expected = ["ssh-ed25519 AAAAed25519", "ecdsa-sha2-nistp256 AAAAecdsa", "ssh-rsa AAAArsa"]
    assert part_handler.host_keys() == expected
    assert part_handler.wait_for_host_key() == expected[0]
    assert naps == naps_before


def test_host_keys_are_waited_for(monkeypatch: pytest.MonkeyPatch, naps: list[float]) -> None:
    found = iter([[], [], ["ssh-ed25519 AAAA"]])
    monkeypatch.setattr(part_handler, "host_keys", lambda: next(found))
    assert part_handler.wait_for_host_key() == "ssh-ed25519 AAAA"
    assert naps == [1, 2]


def test_without_sshd_there_are_no_host_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert part_handler.host_keys() == []


def test_cloud_inits_beginning_and_end_are_no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(part_handler, "SETTINGS", str(tmp_path / "never/register.json"))
    for signal in ("__begin__", "__end__"):
        part_handler.handle_part(None, signal, "", "")
    with pytest.raises(ValueError, match="Expecting value"):
        part_handler.handle_part(None, "text/x-commissaire-host", "part-002", "no json")
    assert not (tmp_path / "never").exists()


def test_it_says_what_is_wrong_in_two_lines(tmp_path: Path) -> None:
    program = Path(part_handler.__file__).read_text().replace("/var/lib/commissaire/", f"{tmp_path}/")
    (tmp_path / "register.py").write_text(program)
    (tmp_path / "register.json").write_text(json.dumps({"remote_user": "root"}))
    command = [sys.executable, str(tmp_path / "register.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "commissaire: KeyError('ssh_key_path')"
    assert "then: systemctl restart" in done.stderr.splitlines()[1]


def test_it_is_written_in_the_python_of_old_machines_with_their_library_alone() -> None:
    tree: Any = ast.parse(Path(part_handler.__file__).read_text(), feature_version=(3, 6))
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in modules} <= sys.stdlib_module_names
    assert "__future__" not in modules
