"""Where commctl finds its server, and what it says when it doesn't."""

from __future__ import annotations

import json
import os
import pty
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from commissaire.commctl import config
from unit.commctl.server import ScriptedServer, problem

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from unit.commctl.conftest import Run


def write(path: Path, values: Any) -> Path:
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    path.chmod(0o600)
    return path


@pytest.fixture
def closed_endpoint() -> str:
    """An endpoint nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def other(server: ScriptedServer, configuration: Path, tmp_path: Path) -> Path:
    """A second configuration; the one in the home folder leads nowhere."""
    server.answer("GET", "/api/v0/clusters", 200, [])
    path = write(tmp_path / "other.json", configuration.read_text())
    write(configuration, {"username": "u", "password": "p", "endpoint": "http://127.0.0.1:1"})
    return path


def test_the_option_names_the_file(commctl: Run, other: Path) -> None:
    assert commctl("-c", str(other), "cluster", "list").code == 0
    assert commctl("--config", str(other), "cluster", "list").code == 0


def test_the_environment_names_the_file(commctl: Run, other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMCTL_CONFIG", str(other))
    assert commctl("cluster", "list").code == 0
    assert "there is no configuration file" in commctl("-c", "/nowhere", "cluster", "list").err


def test_endpoints_are_tried_in_order(
    commctl: Run, server: ScriptedServer, configuration: Path, closed_endpoint: str
) -> None:
    server.answer("GET", "/api/v0/clusters", 200, ["prod"])
    endpoints = [closed_endpoint, server.endpoint + "/", "http://127.0.0.1:1"]
    write(configuration, {"username": "u", "password": "p", "endpoint": endpoints})
    assert commctl("cluster", "list").out == "- prod\n"
    assert server.calls == [("GET", "/api/v0/clusters")]


def test_an_error_status_is_an_answer_and_ends_the_search(commctl: Run, configuration: Path) -> None:
    with ScriptedServer() as first, ScriptedServer() as second:
        write(configuration, {"username": "u", "password": "p", "endpoint": [first.endpoint, second.endpoint]})
        assert commctl("cluster", "delete", "x").code == 2
        assert not second.requests


def test_no_server_is_exit_1_and_says_why(commctl: Run, configuration: Path, closed_endpoint: str) -> None:
    write(configuration, {"username": "u", "password": "p", "endpoint": [closed_endpoint]})
    result = commctl("cluster", "list")
    assert (result.code, result.out) == (1, "")
    assert result.err == f"no server: {closed_endpoint}: [Errno 111] Connection refused\n"


def test_a_server_that_hangs_up_is_exit_1(commctl: Run, configuration: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        write(configuration, {"username": "u", "password": "p", "endpoint": endpoint})
        hanging_up = threading.Thread(target=lambda: listener.accept()[0].close())
        hanging_up.start()
        result = commctl("cluster", "list")
        hanging_up.join()
    assert result.code == 1
    assert result.err.startswith("the server broke off its answer to GET /api/v0/clusters")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "is no JSON: Expecting property name"),
        ([], "holds no JSON object"),
        ({"endpoint": "http://a", "username": 5}, "username must be a string"),
        ({"endpoint": "http://a", "username": "u", "password": ["p"]}, "password must be a string"),
        ({"endpoint": 5}, "endpoint must be a URL or a list of URLs"),
        ({"endpoint": ["http://a", 5]}, "endpoint must be a URL or a list of URLs"),
        ({"endpoint": "127.0.0.1:8000"}, "endpoint '127.0.0.1:8000' is no URL like http://127.0.0.1:8000"),
        ({"endpoint": "http://a:b"}, "is no URL like"),
        ({"endpoint": "ftp://a"}, "is no URL like"),
        ({}, 'no endpoint: put "endpoint" into'),
        ({"endpoint": "http://a"}, 'no username: put "username" into'),
        ({"endpoint": "http://a", "username": "u"}, 'no password: put "password" into'),
        ({"endpoint": "http://a", "kubeconfig": 5}, "kubeconfig must be a string"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_named(
    commctl: Run, configuration: Path, content: Any, complaint: str
) -> None:
    write(configuration, content)
    result = commctl("cluster", "list")
    assert (result.code, result.out) == (2, "")
    assert complaint in result.err
    assert str(configuration) in result.err


def test_without_a_configuration_it_says_how_to_come_by_one(commctl: Run, configuration: Path) -> None:
    configuration.unlink()
    result = commctl("cluster", "list")
    assert result.code == 2
    assert result.err.splitlines() == [
        f"there is no configuration file {configuration}",
        "A server's first start writes ~/.commissaire.json on its machine. Elsewhere write one with these three keys, "
        "and chmod 600 it:",
        '{"endpoint": "http://127.0.0.1:8000", "username": "admin", "password": "..."}',
    ]


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_name_where_they_come_from(
    commctl: Run, server: ScriptedServer, configuration: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    body = problem(status, "Refused", "the credentials are missing or wrong")
    server.answer("GET", "/api/v0/clusters", status, body)
    asked = f"asked as admin at {server.endpoint}: endpoint, username, password from {configuration}"
    result = commctl("cluster", "list")
    assert result.code == 2
    assert result.err.splitlines() == [f"Refused ({status})", "the credentials are missing or wrong", asked]
    monkeypatch.setenv("COMMCTL_CONFIG", str(configuration))
    assert commctl("cluster", "list").err.splitlines()[-1] == f"{asked} (named by $COMMCTL_CONFIG)"


def test_what_was_typed_in_is_told_from_what_was_read() -> None:
    assert config._origin({"endpoint": "e"}, "/f") == "endpoint from /f; username, password as typed in"
    assert config._origin({"client-certificate": "c"}, "/f") == "client-certificate from /f; endpoint as typed in"


def test_a_file_open_to_others_is_warned_of(commctl: Run, server: ScriptedServer, configuration: Path) -> None:
    server.answer("GET", "/api/v0/clusters", 200, [])
    assert commctl("cluster", "list").err == ""
    configuration.chmod(0o640)
    result = commctl("cluster", "list")
    assert (result.code, result.out) == (0, "[]\n")
    path = configuration
    assert result.err == f"warning: {path} is open to other users of this machine (mode 0640); chmod 600 {path}\n"


def test_what_is_missing_is_asked_for_on_a_terminal(
    start: Callable[..., subprocess.Popen[str]], server: ScriptedServer, configuration: Path
) -> None:
    server.answer("GET", "/api/v0/clusters", 200, ["prod"])
    write(configuration, {})
    ours, theirs = pty.openpty()
    process = start("cluster", "list", stdin=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown = b""
    for question, answer in ((b"Endpoint", server.endpoint), (b"Username", "me"), (b"Password", "secret")):
        while question not in shown:
            shown += os.read(ours, 1000)
        os.write(ours, answer.encode() + b"\n")
    out, _ = process.communicate(timeout=20)
    os.close(ours)
    assert out == "- prod\n"
    assert b"secret" not in shown
    assert server.requests[0].headers["Authorization"] == "Basic bWU6c2VjcmV0"
