"""A service's configuration: etcd is in tests/integration/test_etcd.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commissaire import configuration
from commissaire.configuration import SettingsError
from commissaire.service import Service
from commissaire.service.settings import ServiceSettings, load, parse


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


def test_passwords_are_not_shown() -> None:
    assert "CANARY" not in repr(ServiceSettings(bus_uri="redis://:CANARY@h/", password="CANARY"))
