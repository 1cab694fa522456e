"""Calls in a child."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from singularity import aside
from singularity.errors import Refused


def test_what_a_child_returns_comes_back_whole() -> None:
    assert aside.call(lambda size: b"\0\xff" * size, 500_000) == b"\0\xff" * 500_000


def test_what_a_child_loads_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    assert aside.call(lambda: str(__import__("colorsys")).encode())
    assert "colorsys" not in sys.modules


def test_a_refusal_is_raised_here() -> None:
    def refuse() -> bytes:
        raise Refused("there is none")

    with pytest.raises(Refused, match="there is none"):
        aside.call(refuse)


def test_another_failure_quotes_nothing() -> None:
    def fail() -> bytes:
        raise ValueError("s3cret")

    with pytest.raises(RuntimeError, match=r"ValueError at .*:\d+") as caught:
        aside.call(fail)
    assert "s3cret" not in str(caught.value)


def test_a_child_that_is_killed_is_no_answer() -> None:
    with pytest.raises(RuntimeError, match="a child was killed"):
        aside.call(lambda: os.kill(os.getpid(), signal.SIGKILL) or b"")
