"""Work in a child: what comes back of it, and what is left of it."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from singularity import child
from singularity.child import in_child
from singularity.errors import Refused


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_what_a_child_returns_comes_back_whole() -> None:
    assert in_child(lambda: b"\0\xff" * 500_000, 10) == b"\0\xff" * 500_000


def test_what_a_child_loads_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    assert in_child(lambda: str(__import__("colorsys")).encode(), 10)
    assert "colorsys" not in sys.modules


def test_a_refusal_is_raised_here() -> None:
    def refuse() -> bytes:
        raise Refused("there is none")

    with pytest.raises(Refused, match="there is none"):
        in_child(refuse, 10)


def test_one_that_takes_too_long_or_is_killed_is_given_up() -> None:
    with pytest.raises(Refused, match=r"not within 0\.2 s"):
        in_child(lambda: time.sleep(60) or b"", 0.2)
    with pytest.raises(Refused, match="was killed"):
        in_child(lambda: os.kill(os.getpid(), signal.SIGKILL) or b"", 10)


def test_a_system_without_room_for_a_child_loses_no_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> int:
        raise OSError(errno.EAGAIN, "no room")

    monkeypatch.setattr(child.os, "fork", full)
    before = descriptors()
    with pytest.raises(OSError, match="no room"):
        in_child(lambda: b"", 10)
    assert descriptors() == before
