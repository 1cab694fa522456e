"""Completion: the program's own words, and the server's names when they come at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from unit.commctl.server import ScriptedServer, problem

if TYPE_CHECKING:
    from pathlib import Path


def complete(*words: str) -> list[str]:
    """Return what bash is told to offer for the last of *words*."""
    environment = {
        **os.environ,
        "_COMMCTL_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["commctl", *words]),
        "COMP_CWORD": str(len(words)),
    }
    program = "from commissaire.commctl.main import main; main()"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.fixture
def names(server: ScriptedServer, configuration: Path) -> ScriptedServer:
    server.answer("GET", "/api/v0/clusters", 200, ["prod", "proto", "test"])
    server.answer("GET", "/api/v0/hosts", 200, [{"address": "10.0.0.1"}, {"address": "fd00::1"}])
    server.answer("GET", "/api/v0/networks", 200, ["default"])
    server.answer("GET", "/api/v0/containermanagers", 200, ["kube"])
    return server


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["clu"], {"cluster"}),
        (["cluster", "restart", "st"], {"start", "status"}),
        (["container_manager", "c"], {"create", "check"}),
        (["host", "create", "--cl"], {"--cluster"}),
        (["cluster", "get", "-o", ""], {"yaml", "json", "table"}),
    ],
)
def test_words_of_the_program(configuration: Path, words: list[str], offered: set[str]) -> None:
    assert set(complete(*words)) == offered


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["cluster", "get", "pro"], ["prod", "proto"]),
        (["cluster", "delete", "prod", "t"], ["test"]),
        (["cluster", "restart", "start", "t"], ["test"]),
        (["cluster", "create", "-n", ""], ["default"]),
        (["cluster", "create", "--container-manager", ""], ["kube"]),
        (["host", "ssh", ""], ["10.0.0.1", "fd00::1"]),
        (["host", "join", "10.0.0.1", "te"], ["test"]),
        (["host", "list", "te"], ["test"]),
        (["host", "check", "10.0.0.1", "f"], ["fd00::1"]),
        (["network", "get", ""], ["default"]),
        (["container_manager", "get", ""], ["kube"]),
        (["operation", "list", "--host", "f"], ["fd00::1"]),
        (["user-data", "-c", "te"], ["test"]),
    ],
)
def test_names_of_the_server(names: ScriptedServer, words: list[str], offered: list[str]) -> None:
    assert complete(*words) == offered


def test_the_configuration_that_the_line_names(names: ScriptedServer, configuration: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(configuration.read_text())
    configuration.write_text("{}")
    assert complete("cluster", "get", "te") == []
    assert complete("-c", str(other), "cluster", "get", "te") == ["test"], "and no word of its mode"


def test_no_name_can_become_a_command_of_the_shell(server: ScriptedServer, configuration: Path) -> None:
    server.answer("GET", "/api/v0/clusters", 200, ["good", "$(touch x)", "a b", "`x`", "x;y", ""])
    assert complete("cluster", "get", "") == ["good"]


def test_a_refusal_is_silent(server: ScriptedServer, configuration: Path) -> None:
    server.answer("GET", "/api/v0/clusters", 403, problem(403, "Forbidden", "no"))
    assert complete("cluster", "get", "") == []


def test_without_a_server_or_a_configuration_it_is_silent(configuration: Path) -> None:
    configuration.write_text(json.dumps({"endpoint": "http://127.0.0.1:1", "username": "u", "password": "p"}))
    assert complete("cluster", "get", "") == []
    configuration.unlink()
    assert complete("cluster", "get", "") == []


def test_a_server_that_does_not_answer_is_not_waited_for(server: ScriptedServer, configuration: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        configuration.write_text(json.dumps({"endpoint": endpoint, "username": "u", "password": "p"}))
        begun = time.monotonic()
        assert complete("cluster", "get", "") == []
        assert time.monotonic() - begun < 30


@pytest.mark.parametrize(
    ("shell", "words"), [("bash", "complete -o default -F"), ("zsh", "compdef"), ("fish", "complete")]
)
def test_there_is_a_script_for_each_shell(shell: str, words: str) -> None:
    environment = {**os.environ, "_COMMCTL_COMPLETE": f"source_{shell}"}
    program = "from commissaire.commctl.main import main; main()"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert words in done.stdout
    assert "commctl" in done.stdout
