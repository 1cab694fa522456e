"""Logs tell what happened, and no secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from commissaire import logs
from commissaire.configuration import SettingsError


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()], ids=["terminal", "file"])
def test_a_traceback_shows_no_local_variables(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO) -> None:
    monkeypatch.setattr("sys.stderr", stream)
    logs.configure(debug=True)

    def break_down(password: str) -> None:
        raise RuntimeError(f"{len(password)} characters")

    try:
        break_down("CANARY" + "-secret")
    except RuntimeError:
        structlog.get_logger("test").exception("unexpected_error")
    assert "RuntimeError: 13 characters" in stream.getvalue()
    assert "CANARY-secret" not in stream.getvalue()


def test_a_line_has_the_requests_id(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    logs.configure(debug=False)
    with structlog.contextvars.bound_contextvars(request_id="one"):
        structlog.get_logger("test").info("request", what="GET /a\nb")
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line).items() >= {"request_id": "one", "event": "request", "what": "GET /a\nb"}.items()


def test_the_logging_section_comes_on_top_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    file = tmp_path / "watcher.log"
    handler = {"class": "logging.FileHandler", "filename": str(file), "formatter": "commissaire"}
    quiet, loud = {"level": "ERROR"}, {"level": "DEBUG", "handlers": ["file"]}
    section = {"handlers": {"file": handler}, "loggers": {"quiet": quiet, "loud": loud}}
    logs.configure(debug=False, more=section)
    logging.getLogger("quiet").warning("one")
    logging.getLogger("loud").debug("two")
    logging.getLogger("other").warning("three")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["two", "three"]
    assert [json.loads(line)["event"] for line in file.read_text().splitlines()] == ["two"]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            {"handlers": {"x": {"class": "nowhere.Handler"}}},
            "setting 'logging': Unable to configure handler 'x'.*nowhere",
        ),
        ({"version": 2}, "setting 'logging': Unsupported version: 2"),
        ({"formatters": 1}, "setting 'logging'"),
    ],
)
def test_a_mistake_in_the_logging_section_is_told(section: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        logs.configure(debug=False, more=section)
