"""commissaire.fleet.upgrade and deploy with the real ostree; only its boot is a stand-in."""

import pytest

from lab import Lab

from . import ostree
from .playbook import run_playbook

pytestmark = pytest.mark.integration


@pytest.fixture
def atomic(lab_of, tmp_path) -> Lab:
    """A machine that runs 7.2.5, whose remote has 7.2.6 and 7.3.0, too."""
    lab = lab_of(1)
    ostree.install(lab, tmp_path, ["7.2.5", "7.2.6", "7.3.0"])
    return lab


def test_a_host_upgrades_to_the_newest_goes_back_to_a_version_and_on_to_a_ref(atomic):
    host = atomic.host("h1")
    assert ostree.booted(host) == "7.2.5"
    for playbook, variables, booted in [
        ("upgrade", {}, "7.3.0"),
        ("upgrade", {}, "7.3.0"),
        ("deploy", {"version": "7.2.6"}, "7.2.6"),
        ("deploy", {"version": "origin:debian/stable"}, "7.3.0"),
    ]:
        before = ostree.booted(host), host.boots()
        outcome = run_playbook(atomic, playbook, **variables)
        assert outcome.returncode == 0, outcome.output
        assert ostree.booted(host) == booted
        last = outcome.last("h1")
        assert last["data"]["deployment_before"]["version"] == before[0]
        assert last["data"]["deployment_after"]["version"] == booted
        changed = before[0] != booted
        assert last["message"] == (f"booted {booted}" if changed else "nothing to upgrade")
        assert len(host.boots()) == len(before[1]) + changed

    outcome = run_playbook(atomic, "deploy", version="8")
    assert outcome.returncode == 2
    assert (outcome.last("h1")["phase"], outcome.last("h1")["state"]) == ("checking", "failed")
    assert "has no version 8" in outcome.last("h1")["message"]
