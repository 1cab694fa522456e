"""commissaire.fleet.deploy, and upgrade, on hosts that run a bootc image. bootc is a stand-in."""

import pytest

from lab import Lab

from . import bootc
from .playbook import run_playbook

pytestmark = pytest.mark.integration

OLD, NEW = "registry.example/os:1", "registry.example/os:2"


@pytest.fixture
def fleet(lab) -> Lab:
    """The lab as three hosts that run the image with the tag 1."""
    bootc.install(lab, OLD, [NEW])
    bootc.install(Lab(lab.name, [lab.host("h3")]), OLD, [NEW], download_only=False)
    return lab


def test_an_image_is_staged_on_all_hosts_switched_to_one_by_one_and_rolled_back_where_its_check_fails(fleet):
    (fleet.host("h2").root / "usr/local/bin/fit").write_text(
        '#!/bin/sh\n! bootc status --format json | grep -q \'"booted": {"image": {"image": {"image": "[^"]*:2"\'\n'
    )
    for name in ("h1", "h3"):
        (fleet.host(name).root / "usr/local/bin/fit").write_text("#!/bin/sh\n")
    for host in fleet.hosts:
        (host.root / "usr/local/bin/fit").chmod(0o755)
    outcome = run_playbook(
        fleet, "deploy", version=NEW, check_after={"command": ["fit"], "timeout_seconds": 2}, max_failures=1
    )
    assert outcome.returncode == 2, outcome.output
    assert [bootc.read(host)["booted"][0] for host in fleet.hosts] == [NEW, OLD, NEW], outcome.output
    download, switch, apply = f"switch {NEW} --download-only", f"switch {NEW}", "upgrade --from-downloaded"
    assert bootc.orders(fleet.host("h1")) == [download, apply]
    assert bootc.orders(fleet.host("h2")) == [download, apply, "rollback"]
    assert bootc.orders(fleet.host("h3")) == [switch]
    failed = outcome.last("h2")
    assert (failed["phase"], failed["state"]) == ("rolled_back", "failed")
    assert failed["message"].startswith("rolled_back: h2 is not fit: ")
    assert failed["message"].endswith("; rolled back to 1, which is booted, and fit")
    record = outcome.checkpoints("h2")[-2]["data"]
    assert record["deployment_before"] == {"version": "1", "checksum": bootc.digest(OLD), "origin": OLD}
    assert record["rolled_back"] is True
    assert outcome.last("h1")["data"]["deployment_after"] == {
        "version": "2",
        "checksum": bootc.digest(NEW),
        "origin": NEW,
    }


def test_a_tag_that_moved_on_is_upgraded_to(fleet):
    host = fleet.host("h1")
    for playbook, wanted in (("deploy", {"version": OLD}), ("upgrade", {})):
        nothing = run_playbook(fleet, playbook, "--limit", "h1", **wanted)
        assert (nothing.returncode, nothing.changed(), bootc.orders(host)) == (0, [], []), nothing.output
    bootc.push(host, OLD, "1.1")
    dry = run_playbook(fleet, "upgrade", "--check", "--limit", "h1")
    assert dry.last("h1")["message"] == f"would boot {OLD}@{bootc.digest('1.1')}"
    outcome = run_playbook(fleet, "upgrade", "--limit", "h1")
    assert outcome.returncode == 0, outcome.output
    assert bootc.read(host)["booted"] == [OLD, bootc.digest("1.1"), "1.1"]
    assert bootc.orders(host) == ["upgrade --download-only", "upgrade --from-downloaded"]


def test_what_a_restart_dropped_is_staged_again_and_what_is_no_image_is_refused(fleet):
    host = fleet.host("h1")
    host.run(["bootc", "switch", "--download-only", NEW])
    host.run(["bootc", "boot"])
    assert run_playbook(fleet, "deploy", "--limit", "h1", version=NEW).returncode == 0
    assert bootc.read(host)["booted"][0] == NEW
    refused = run_playbook(fleet, "deploy", "--limit", "h1", version="7.2.6")
    assert "7.2.6 is not the full name of a container image" in refused.last("h1")["message"]
