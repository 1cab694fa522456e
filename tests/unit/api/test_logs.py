"""Logs tell what happened, and no secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from commissaire import logs


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
