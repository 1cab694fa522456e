"""The guest agent is sent what it must live through, for some seconds; `make fuzz-guest` does it for longer."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from fuzz.guest_agent.machine import MEMORY, Finding, Machine
from fuzz.guest_agent.seeds import seeds
from fuzz.guest_agent.strategies import inputs
from fuzz.guest_agent.targets import TARGETS
from singularity.files import Change
from singularity.qemu import presence

EXAMPLES = 60


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


@pytest.mark.parametrize("name", TARGETS)
def test_it_lives_through_what_is_right(name: str, folder: Path) -> None:
    target = TARGETS[name](folder)
    for seed in seeds(name):
        target.run(seed)


@pytest.mark.parametrize("name", TARGETS)
def test_it_lives_through_what_is_nearly_right_and_what_is_not(name: str, folder: Path) -> None:
    target = TARGETS[name](folder)

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(inputs(name))
    def once(data: bytes) -> None:
        target.run(data)

    once()


class TestFinding:
    """What the targets must not overlook."""

    def test_an_error_within_the_agent_is_found(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(presence, "ping", lambda _: {}["absent"])
        with pytest.raises(Finding, match="KeyError"):
            TARGETS["stream"](folder).run(b"\x00")

    @pytest.mark.parametrize("path", ["../secret", "../more", "denied/file", "denied/more"])
    def test_a_change_of_what_is_not_the_guests_is_found(self, folder: Path, path: str) -> None:
        machine = Machine(folder)
        with pytest.raises(Finding, match="was changed"), machine.guest():
            (machine.root / path).write_text("changed")

    def test_a_change_of_the_guest_is_none(self, folder: Path) -> None:
        with Machine(folder).guest() as guest:
            assert guest.files.replace([Change("/etc/hostname", b"other")]) == ["/etc/hostname"]
