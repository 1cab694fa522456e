"""A service's configuration: etcd is in tests/integration/test_etcd.py."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from commissaire import configuration
from commissaire.configuration import SettingsError
from commissaire.service import Service, service
from commissaire.service.settings import ServiceSettings, load, parse


@pytest.fixture
def logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What stands for /etc/commissaire."""
    monkeypatch.setattr(configuration, "DIRECTORY", tmp_path)
    return tmp_path


def settings(*arguments: str) -> ServiceSettings:
    return load("watcher", parse("watcher", "", arguments), {})


def test_the_file_is_named_after_the_service(folder: Path) -> None:
    (folder / "watcher.conf").write_text('{"bus_uri": "memory://", "poll-seconds": 5, "debug": true}')
    found = settings()
    assert (found.bus_uri, found.debug, found.options) == ("memory://", True, {"poll_seconds": 5})


@pytest.mark.parametrize("option", ["-c", "--config"])
def test_another_file_can_be_named_and_the_command_line_wins(folder: Path, option: str) -> None:
    (folder / "watcher.conf").write_text("broken")
    file = folder / "other.conf"
    file.write_text('{"bus-uri": "memory://", "bus-exchange": "x", "debug": false}')
    found = settings(option, str(file), "--bus-uri", "redis://h/", "--bus-exchange", "y", "--debug", "--processes", "3")
    assert (found.bus_uri, found.bus_exchange, found.debug, found.processes) == ("redis://h/", "y", True, 3)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "setting 'bus_uri': Field required"),
        ({"bus-uri": "memory://", "processes": 0}, "setting 'processes'"),
        ({"bus-uri": "memory://", "logging": "x"}, "setting 'logging'"),
    ],
)
def test_a_mistake_is_told(folder: Path, document: dict[str, object], message: str) -> None:
    (folder / "watcher.conf").write_text(json.dumps(document))
    with pytest.raises(SettingsError, match=message):
        settings()


def test_a_mistake_ends_the_program_with_2(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Watcher(Service):
        name = "watcher"

    with pytest.raises(SystemExit) as caught:
        Watcher.main(["--bus-uri", "carrier://:CANARY@pigeon/"])
    assert caught.value.code == 2
    assert "watcher: bus_uri carrier://pigeon: kombu has no such transport" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"cafile": "/nowhere/ca.pem"}, "cafile: can't read authorities from /nowhere/ca.pem: .*No such file"),
        ({"cafile": "/dev/null"}, "cafile: can't read authorities from /dev/null: "),
        ({"logging": {"handlers": {"x": {"class": "no.such.Handler"}}}}, "setting 'logging': .*dictConfig"),
    ],
)
@pytest.mark.usefixtures("logging_restored")
def test_a_mistake_that_every_process_would_die_of_is_told_before_there_is_any(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    document: dict[str, object],
    message: str,
) -> None:
    class Watcher(Service):
        name = "watcher"

    (folder / "watcher.conf").write_text(json.dumps({"bus-uri": "memory://", "processes": 2, **document}))
    monkeypatch.setattr(service, "run_processes", lambda *_: pytest.fail("processes were started"))
    with pytest.raises(SystemExit) as caught:
        Watcher.main([])
    assert caught.value.code == 2
    assert re.search(f"watcher: {message}", capsys.readouterr().err)


def test_passwords_are_not_shown() -> None:
    assert "CANARY" not in repr(ServiceSettings(bus_uri="redis://:CANARY@h/", password="CANARY"))
