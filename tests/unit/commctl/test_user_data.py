"""commctl user-data: a file that cloud-init takes, and nobody else reads."""

from __future__ import annotations

import email
import io
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from unit.commctl.certificates import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from unit.commctl.conftest import Run

SERVER = ["-e", "https://c.example.com/"]


@pytest.fixture(autouse=True)
def piped_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("typed\n"))


@pytest.fixture
def home(configuration: Path) -> Path:
    """The home folder; the configuration in it has credentials and an endpoint that is not this machine."""
    values = {"username": "me", "password": "mine", "endpoint": ["https://c.example.com/x/", "http://b"]}
    configuration.write_text(json.dumps(values))
    return configuration.parent


def parts(text: str) -> dict[str, bytes]:
    message = email.message_from_string(text)
    assert message.get_content_type() == "multipart/mixed"
    found = {}
    for part in message.walk():
        if not part.is_multipart():
            assert part["Content-Transfer-Encoding"] == "base64"
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            found[part.get_content_type()] = payload
    return found


def settings(text: str) -> dict[str, Any]:
    return dict(json.loads(parts(text)["text/x-commissaire-host"]))


def test_three_parts_the_handler_before_what_it_handles(commctl: Run, home: Path) -> None:
    result = commctl("user-data", *SERVER, "-u", "boot", "-p")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("Content-Type: multipart/mixed; boundary=")
    found = parts(result.out)
    assert list(found) == ["text/cloud-config", "text/part-handler", "text/x-commissaire-host"]
    assert found["text/cloud-config"] == b"#cloud-config\n{}\n"
    assert b"def handle_part(" in found["text/part-handler"]
    assert len(result.out) < 16384, "what the smallest cloud takes"


def test_what_is_left_out_has_a_default(commctl: Run, home: Path) -> None:
    assert settings(commctl("user-data", *SERVER, "-u", "boot", "-p").out) == {
        "endpoint": "https://c.example.com",
        "username": "boot",
        "password": "typed",
        "cluster": "",
        "remote_user": "root",
        "ssh_key_path": "~root/.ssh/id_commissaire",
        "authorized_keys_path": "~root/.ssh/authorized_keys",
        "certificate_authority": "",
    }


def test_every_option_has_its_place(commctl: Run, home: Path, tmp_path: Path) -> None:
    ca = Authority(tmp_path).path
    (tmp_path / "init").write_text("#cloud-config\nhostname: ü\n")
    words = "-e http://a -c web -u boot -p -r fleet -s /k -a /a"
    result = commctl("user-data", *words.split(), "-C", str(tmp_path / "init"), "--ca-file", str(ca))
    assert parts(result.out)["text/cloud-config"].decode() == "#cloud-config\nhostname: ü\n"
    assert settings(result.out) == {
        "endpoint": "http://a",
        "username": "boot",
        "password": "typed",
        "cluster": "web",
        "remote_user": "fleet",
        "ssh_key_path": "/k",
        "authorized_keys_path": "/a",
        "certificate_authority": ca.read_text(),
    }


def test_paths_follow_the_remote_user(commctl: Run, home: Path) -> None:
    values = settings(
        commctl("user-data", "--endpoint", "http://a", "--username", "boot", "--remote-user", "fleet").out
    )
    assert values["ssh_key_path"] == "~fleet/.ssh/id_commissaire"
    assert values["authorized_keys_path"] == "~fleet/.ssh/authorized_keys"


@pytest.mark.parametrize("words", [["-o", "{}"], ["--outfile", "{}"], ["{}"]])
def test_the_file_is_its_owners_alone_even_if_it_was_there(
    commctl: Run, home: Path, tmp_path: Path, words: list[str]
) -> None:
    path = tmp_path / "web.userdata"
    path.write_text("old " * 10000)
    path.chmod(0o644)
    result = commctl("user-data", *SERVER, "-u", "boot", *(word.format(path) for word in words))
    assert (result.code, result.out, result.err) == (0, "", "")
    assert path.stat().st_mode & 0o777 == 0o600
    assert settings(path.read_text())["password"] == "typed"


def test_ones_own_endpoint_and_credentials_are_taken_with_a_warning(commctl: Run, home: Path) -> None:
    result = commctl("user-data")
    assert result.code == 0
    values = settings(result.out)
    assert (values["endpoint"], values["username"], values["password"]) == ("https://c.example.com/x", "me", "mine")
    assert "better use one of a user with the role registrar" in result.err
    assert settings(commctl("user-data", "-p").out)["password"] == "typed"


def test_ones_own_authority_travels_along(commctl: Run, home: Path, configuration: Path) -> None:
    ca = Authority(home).path
    configuration.write_text(json.dumps({"certificate-authority": "ca.pem"}))
    result = commctl("user-data", *SERVER, "-u", "boot")
    assert settings(result.out)["certificate_authority"] == ca.read_text()


@pytest.mark.parametrize(("endpoint", "warned"), [("http://a", True), ("https://a", False)])
def test_what_would_travel_in_the_clear_is_said(commctl: Run, home: Path, endpoint: str, warned: bool) -> None:
    result = commctl("user-data", "-e", endpoint, "-u", "boot")
    assert (result.code, f"to {endpoint} in the clear" in result.err) == (0, warned)


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:8000", "http://localhost", "https://[::1]:8000"])
def test_an_endpoint_that_is_this_machine_is_none_for_others(
    commctl: Run, home: Path, configuration: Path, endpoint: str
) -> None:
    configuration.write_text(json.dumps({"endpoint": endpoint, "username": "me", "password": "mine"}))
    result = commctl("user-data")
    assert (result.code, result.out) == (2, "")
    assert f"a host would look for {endpoint} on itself; say with --endpoint" in result.err
    assert commctl("user-data", "-e", endpoint).code == 0, "a tunnel, maybe"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("-e c.example.com", "--endpoint: endpoint 'c.example.com' is no URL"),
        ("-r -x", "--remote-user '-x' is no name of a Unix account"),
        ("-r a:b", "is no name of a Unix account"),
        ("-s key", "'key' is no path from / or ~ on"),
        ("-a keys", "'keys' is no path from / or ~ on"),
        ("-C /nowhere", "the cloud-init file /nowhere can't be read: No such file or directory"),
        ("-C /dev/null", "is no cloud-config: its first line must be #cloud-config"),
        ("--ca-file /nowhere", "the CA file /nowhere can't be read"),
        ("-o /nowhere/x", "/nowhere/x can't be written: No such file or directory"),
        ("-o a b", "the file is named twice"),
    ],
)
def test_what_makes_no_sense_is_told(commctl: Run, home: Path, words: str, complaint: str) -> None:
    result = commctl("user-data", *words.split())
    assert (result.code, result.out) == (2, "")
    assert complaint in " ".join(result.err.split())


@pytest.mark.parametrize(
    ("values", "complaint"),
    [({}, "no endpoint: say with --endpoint"), ({"endpoint": "http://a"}, "no username: say with --username")],
)
def test_what_is_missing_is_told(commctl: Run, configuration: Path, values: Any, complaint: str) -> None:
    configuration.write_text(json.dumps(values))
    assert complaint in commctl("user-data").err


def test_an_empty_password_is_none(commctl: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert "no password: run this on a terminal" in commctl("user-data", "-p").err


def test_what_a_small_cloud_would_not_take_is_warned_of(commctl: Run, home: Path, tmp_path: Path) -> None:
    (tmp_path / "init").write_text(f"#cloud-config\n# {'x' * 9000}\n")
    result = commctl("user-data", "-u", "boot", "-C", str(tmp_path / "init"))
    assert result.code == 0
    assert "some clouds take 16384 at most" in result.err
