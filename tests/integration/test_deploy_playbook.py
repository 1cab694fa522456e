"""commissaire.fleet.deploy, and upgrade on Atomic hosts, by ansible-playbook alone. rpm-ostree is a stand-in."""

import hashlib
import json

import pytest

from lab import Lab
from lab.host import LabHost

from . import rpm_ostree
from .playbook import run_playbook

pytestmark = pytest.mark.integration

STAGED = ["deploy --download-only 7.2.6"]
SWITCHED = [*STAGED, "deploy --cache-only 7.2.6"]
BEFORE = {"version": "7.2.5", "checksum": "0" * 64, "origin": "os:stable"}
AFTER = {"version": "7.2.6", "checksum": hashlib.sha256(b"7.2.6").hexdigest(), "origin": "os:stable"}


@pytest.fixture
def atomic(lab) -> Lab:
    """The lab as three Atomic hosts that run 7.2.5."""
    rpm_ostree.install(lab, booted="7.2.5", newest="7.3.0", versions=["7.2.4", "7.2.6"])
    return lab


def note(host: LabHost, operation: str, **note: object) -> None:
    """Leave on a machine what an interrupted operation would have left there."""
    path = host.root / "var/lib/commissaire/deployment"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"operation": operation, "version": "7.2.6", **note}) + "\n")


def test_no_deploy_where_there_is_no_ostree(lab):
    outcome = run_playbook(lab, "deploy", "--limit", "h1", version="7.2.6")
    assert outcome.returncode == 2
    last = outcome.last("h1")
    assert (last["phase"], last["state"]) == ("staging", "failed")
    assert last["message"] == "staging: h1 is not an OSTree system; upgrade it instead"


def test_a_version_is_staged_everywhere_then_booted_on_one_host_after_the_other_and_only_once(atomic):
    before = {host.name: host.boots() for host in atomic.hosts}
    outcome = run_playbook(atomic, "deploy", version="7.2.6", operation_id="one")
    assert outcome.returncode == 0, outcome.output
    told = [(name, result["checkpoint"]) for name, result in outcome.results if "checkpoint" in result]
    switched = [place for place, (_, point) in enumerate(told) if point["phase"] == "checking"]
    staged = [
        place for place, (_, point) in enumerate(told) if (point["phase"], point["state"]) == ("staging", "pending")
    ]
    assert len(staged) == 3
    assert max(staged) < min(switched)
    for host in atomic.hosts:
        assert rpm_ostree.orders(host) == SWITCHED
        assert rpm_ostree.booted(host) == "7.2.6"
        assert host.boots()[:-1] == before[host.name]
        phases = [point["phase"] for point in outcome.checkpoints(host.name)]
        assert phases == ["staging", "staging", "checking", "deploying", "rebooting", "verifying", "done"]
        last = outcome.last(host.name)
        assert last["message"] == "booted 7.2.6"
        assert (last["data"]["deployment_before"], last["data"]["deployment_after"]) == (BEFORE, AFTER)
        assert last["data"]["rolled_back"] is False
    after = {host.name: host.boots() for host in atomic.hosts}
    again = run_playbook(atomic, "deploy", version="7.2.6")
    assert (again.returncode, again.changed()) == (0, []), again.output
    assert {host.name: host.boots() for host in atomic.hosts} == after
    assert again.last("h1")["message"] == "7.2.6 is booted already"


def test_a_machine_that_falls_back_by_itself_has_failed_and_is_in_service(atomic):
    rpm_ostree.write(atomic.host("h1"), rolls_back=True)
    outcome = run_playbook(atomic, "deploy", version="7.2.6")
    assert outcome.returncode == 2
    failed = outcome.last("h1")
    assert (failed["phase"], failed["state"]) == ("rolled_back", "failed")
    assert failed["message"].startswith("rolled_back: 7.2.5 is booted, not ")
    assert failed["message"].endswith("; rolled back to 7.2.5, which is booted, and fit")
    assert [outcome.last(name)["state"] for name in ("h2", "h3")] == ["not_started", "not_started"]
    assert [rpm_ostree.orders(atomic.host(name)) for name in ("h2", "h3")] == [STAGED, STAGED]


def test_hosts_that_can_not_stage_count_once_and_are_not_switched(atomic):
    rpm_ostree.write(atomic.host("h1"), versions=[])
    before = {host.name: host.boots() for host in atomic.hosts}
    strict = run_playbook(atomic, "deploy", version="7.2.6", stage_at_once=1)
    assert strict.returncode == 2
    last = strict.last("h1")
    assert (last["phase"], last["state"]) == ("staging", "failed")
    assert "error: Version 7.2.6 not found" in last["message"]
    for name in ("h2", "h3"):
        assert strict.last(name)["state"] == "not_started"
        assert rpm_ostree.orders(atomic.host(name)) == []
    assert {host.name: host.boots() for host in atomic.hosts} == before
    lenient = run_playbook(atomic, "deploy", version="7.2.6", max_failures=1)
    assert lenient.returncode == 2
    assert [rpm_ostree.booted(host) for host in atomic.hosts] == ["7.2.5", "7.2.6", "7.2.6"]


def test_an_interrupted_host_goes_on_where_it_was(atomic):
    """h1 was interrupted before its check, h2 in its rollback, h3 before its reboot."""
    checksum = AFTER["checksum"]
    for name in ("h1", "h2"):
        atomic.host(name).run(["rpm-ostree", "deploy", "7.2.6"])
        atomic.host(name).run(["rpm-ostree", "boot"])
    note(atomic.host("h1"), "interrupted", before=BEFORE, target=checksum, why="")
    note(atomic.host("h2"), "interrupted", before=BEFORE, target=checksum, why="it did not serve")
    note(atomic.host("h3"), "interrupted", before=BEFORE, target=checksum, why="")
    atomic.host("h3").run(["rpm-ostree", "deploy", "7.2.6"])
    before = {host.name: len(host.boots()) for host in atomic.hosts}
    outcome = run_playbook(atomic, "deploy", version="7.2.6", operation_id="interrupted", max_failures=1)
    assert outcome.returncode == 2
    assert [outcome.last(host.name)["state"] for host in atomic.hosts] == ["finished", "failed", "finished"]
    assert [rpm_ostree.booted(host) for host in atomic.hosts] == ["7.2.6", "7.2.5", "7.2.6"]
    assert [len(host.boots()) - before[host.name] for host in atomic.hosts] == [0, 1, 1]
    assert outcome.last("h2")["message"] == (
        "rolled_back: it did not serve; rolled back to 7.2.5, which is booted, and fit"
    )
    assert outcome.last("h1")["data"]["deployment_before"] == BEFORE

    orders = rpm_ostree.orders(atomic.host("h2"))
    again = run_playbook(atomic, "deploy", "--limit", "h2", version="7.2.6", operation_id="interrupted")
    assert again.last("h2")["message"] == outcome.last("h2")["message"]  # interrupted after the rollback's reboot
    assert len(atomic.host("h2").boots()) - before["h2"] == 1
    assert rpm_ostree.booted(atomic.host("h2")) == "7.2.5"
    assert [order for order in rpm_ostree.orders(atomic.host("h2"))[len(orders) :] if "--cache-only" in order] == []


def test_a_host_that_was_left_half_way_and_is_silent_keeps_its_place(atomic):
    atomic.host("h1").cut()
    try:
        outcome = run_playbook(
            atomic, "deploy", version="7.2.6", max_failures=2, work_begun="{{ inventory_hostname == 'h1' }}"
        )
    finally:
        atomic.host("h1").mend()
    assert outcome.returncode == 2
    assert [(point["phase"], point["state"]) for point in outcome.checkpoints("h1")] == [
        ("checking", "running"),
        ("checking", "failed"),
    ]  # nothing of staging: the server would take it for a host on which nothing was begun
    assert outcome.last("h1")["data"] == {"out_of_service": True}
    for name in ("h2", "h3"):
        assert outcome.last(name)["state"] == "not_started"
        assert "h1 failed out of service" in outcome.last(name)["message"]


def test_a_dry_run_tells_which_hosts_would_be_switched(atomic):
    for version, changed in (("7.2.5", []), ("7.2.6", ["h1"])):
        outcome = run_playbook(atomic, "deploy", "--check", "--limit", "h1", version=version)
        assert (outcome.returncode, outcome.changed()) == (0, changed), outcome.output
    assert outcome.last("h1")["message"] == "would boot 7.2.6"
    assert rpm_ostree.orders(atomic.host("h1")) == []


def test_a_rollback_that_fails_is_told_and_the_host_keeps_its_place(atomic):
    """Without an earlier deployment there is nothing to roll back to; without `rollback` it isn't tried."""
    for name in ("h1", "h2"):
        program = atomic.host(name).root / "usr/local/bin/rpm-ostree"
        text = program.read_text()
        program.write_text(text.replace('elif arguments == ["rollback"]:', "elif False:"))
    outcome = run_playbook(
        atomic,
        "deploy",
        "--limit",
        "h1,h3",
        version="7.2.6",
        check_after={"command": ["false"], "timeout_seconds": 2},
        max_failures=9,
    )
    assert outcome.returncode == 2
    last = outcome.last("h1")
    assert (last["phase"], last["state"]) == ("rolling_back", "failed")
    assert last["message"].startswith("rolling_back: h1 is not fit: ")
    assert "; the rollback to 7.2.5 did not bring it back: " in last["message"]
    assert "error: Unknown command rollback" in last["message"]
    assert outcome.last("h3")["state"] == "not_started"
    assert "failed out of service" in outcome.last("h3")["message"]
    assert rpm_ostree.booted(atomic.host("h3")) == "7.2.5"
    left = run_playbook(
        atomic,
        "deploy",
        "--limit",
        "h2",
        version="7.2.6",
        check_after={"command": ["false"], "timeout_seconds": 2},
        rollback=False,
    )
    last = left.last("h2")
    assert (last["phase"], last["state"]) == ("verifying", "failed")
    assert last["message"].endswith("; not rolled back, because rollback is false")
    assert rpm_ostree.booted(atomic.host("h2")) == "7.2.6"


@pytest.mark.parametrize("version", ["--help", "7.2.6; reboot", "$(reboot)", "7.2.6\n", ""])
def test_what_is_no_version_never_gets_to_a_host(atomic, version):
    outcome = run_playbook(atomic, "deploy", "--limit", "h1", version=version)
    assert outcome.returncode == 2
    assert "version must be the version, checksum or ref of an OSTree deployment" in outcome.output
    assert (atomic.host("h1").root / rpm_ostree.LOG).read_text() == ""


def test_a_ref_is_rebased_to(atomic):
    for version in ("os:next", "os:next", "os:none"):
        outcome = run_playbook(atomic, "deploy", "--limit", "h1", version=version)
    assert rpm_ostree.orders(atomic.host("h1")) == [
        "rebase --download-only os:next",
        "rebase --cache-only os:next",
        "upgrade --download-only",
        "upgrade --cache-only",
        "rebase --download-only os:none",
    ]
    assert "Branch os:none not found" in outcome.last("h1")["message"]


def test_atomic_hosts_upgrade_to_the_newest_and_only_tell_of_it_in_a_dry_run(atomic):
    dry = run_playbook(atomic, "upgrade", "--check", "--limit", "h1,h2")
    assert (dry.returncode, dry.changed()) == (0, ["h1", "h2"]), dry.output
    assert "would boot" in dry.last("h1")["message"]
    assert "Version: 7.3.0" in dry.last("h1")["message"]
    assert [rpm_ostree.orders(host) for host in atomic.hosts] == [[], [], []]
    outcome = run_playbook(atomic, "upgrade", "--limit", "h1,h2", max_unavailable=2)
    never = run_playbook(atomic, "upgrade", "--limit", "h3", reboot="never")
    assert (outcome.returncode, never.returncode) == (0, 0), outcome.output + never.output
    assert [rpm_ostree.booted(host) for host in atomic.hosts] == ["7.3.0", "7.3.0", "7.2.5"]
    assert never.last("h3")["data"]["reboot_needed"] is True
    later = run_playbook(atomic, "upgrade", "--limit", "h3")
    assert (later.returncode, rpm_ostree.booted(atomic.host("h3"))) == (0, "7.3.0"), later.output
    assert rpm_ostree.orders(atomic.host("h3")) == ["upgrade --download-only", "upgrade --cache-only"]
