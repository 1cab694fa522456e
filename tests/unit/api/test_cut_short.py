"""What is said of a host whose operation was cancelled."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from commissaire.fleet.cut_short import cut_short

ROOT = Path(__file__).parents[3]
LAST = {"done"}
"""Reported of hosts only that nothing is under way on any more."""


def phases() -> set[str]:
    """Return every phase that a role or a playbook names where it reports one."""
    values = [
        value
        for path in (*ROOT.glob("roles/*/tasks/**/*.yml"), *ROOT.glob("playbooks/*.yml"))
        for value in re.findall(r"^\s+(?:\w+_)?phase: (.+)$", path.read_text(), re.MULTILINE)
    ]
    plain = {value for value in values if re.fullmatch("[a-z_]+", value)}
    chosen = {name for value in values for name in re.findall(r"'([a-z_]+)'(?= if| \}\}| else)", value)}
    return (plain | chosen) - LAST


def test_there_are_phases() -> None:
    assert {"upgrading", "soaking", "rolled_back", "connecting", "marker"} <= phases()


@pytest.mark.parametrize("phase", sorted(phases()))
def test_of_every_phase_that_roles_report_it_is_told_how_the_host_is_left(phase: str) -> None:
    assert "nobody knows" not in cut_short(phase)


@pytest.mark.parametrize(
    "phase",
    ["upgrading", "deploying", "rebooting", "verifying", "soaking", "rolled_back", "user", "draining", "leaving"],
)
def test_a_host_in_whose_midst_it_was_is_not_called_untouched(phase: str) -> None:
    assert "nothing was changed" not in cut_short(phase)


@pytest.mark.parametrize("phase", ["", "waiting", "checking", "connecting"])
def test_a_host_before_the_work_is_untouched(phase: str) -> None:
    assert "nothing was changed on it" in cut_short(phase)


def test_of_a_phase_of_tomorrow_nothing_is_made_up() -> None:
    assert cut_short("dreaming") == "cancelled while dreaming: nobody knows what was changed on it; look at it"
