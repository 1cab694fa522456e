"""commctl against a scripted server, in this process or in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from commissaire.commctl.main import main
from unit.commctl.server import ScriptedServer

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Result:
    """How a run of commctl ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as scripted:
        yield scripted


@pytest.fixture
def configuration(tmp_path: Path, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """~/.commissaire.json, leading to the scripted server."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("COMMCTL_CONFIG", raising=False)
    path = tmp_path / ".commissaire.json"
    path.write_text(json.dumps({"username": "admin", "password": "pa:ss wörd", "endpoint": server.endpoint}))
    path.chmod(0o600)
    return path


@pytest.fixture
def commctl(configuration: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run commctl in this process, which is quick."""

    def run(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["commctl", *arguments])
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        captured = capsys.readouterr()
        assert isinstance(code, int)
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture
def start(configuration: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start commctl as a process of its own, with pipes unless told otherwise."""
    started: list[subprocess.Popen[str]] = []

    def popen(*arguments: str, **options: object) -> subprocess.Popen[str]:
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        environment = {**os.environ, "PYTHONWARNINGS": "error", "TERM": "xterm", "COLUMNS": "100", "LINES": "24"}
        command = [sys.executable, "-m", "commissaire.commctl.main", *arguments]
        process = subprocess.Popen(command, text=True, env=environment, **streams)  # type: ignore[call-overload]
        started.append(process)
        return process

    yield popen
    for process in started:
        process.kill()
        process.communicate()
