"""commissaire.fleet.deploy, and upgrade on Atomic hosts, by ansible-playbook alone. rpm-ostree is a stand-in."""

import hashlib

import pytest

from lab import Lab

from . import rpm_ostree
from .playbook import run_playbook

pytestmark = pytest.mark.integration


@pytest.fixture
def atomic(lab) -> Lab:
    """The lab as three Atomic hosts that run 7.2.5."""
    rpm_ostree.install(lab, booted="7.2.5", newest="7.3.0", versions=["7.2.4", "7.2.6"])
    return lab


def test_no_deploy_where_there_is_no_ostree(lab):
    outcome = run_playbook(lab, "deploy", "--limit", "h1", version="7.2.6")
    assert outcome.returncode == 2
    last = outcome.last("h1")
    assert (last["phase"], last["state"]) == ("checking", "failed")
    assert last["message"] == "checking: h1 is not an OSTree system; upgrade it instead"


def test_a_version_is_booted_on_one_host_after_the_other_and_only_once(atomic):
    before = {host.name: host.boots() for host in atomic.hosts}
    outcome = run_playbook(atomic, "deploy", version="7.2.6", operation_id="one")
    assert outcome.returncode == 0, outcome.output
    for host in atomic.hosts:
        assert rpm_ostree.orders(host) == [["deploy", "7.2.6"]]
        assert rpm_ostree.booted(host) == "7.2.6"
        assert host.boots()[:-1] == before[host.name]
        phases = [point["phase"] for point in outcome.checkpoints(host.name)]
        assert phases == ["checking", "deploying", "rebooting", "verifying", "done"]
        last = outcome.last(host.name)
        assert last["message"] == "booted 7.2.6"
        assert last["data"]["deployment_before"] == {"version": "7.2.5", "checksum": "0" * 64}
        checksum = hashlib.sha256(b"7.2.6").hexdigest()
        assert last["data"]["deployment_after"] == {"version": "7.2.6", "checksum": checksum}
    after = {host.name: host.boots() for host in atomic.hosts}
    again = run_playbook(atomic, "deploy", version="7.2.6")
    assert (again.returncode, again.changed()) == (0, []), again.output
    assert {host.name: host.boots() for host in atomic.hosts} == after
    assert again.last("h1")["message"] == "nothing to upgrade"


def test_a_host_that_rolls_back_has_failed_and_stops_the_run(atomic):
    rpm_ostree.write(atomic.host("h1"), rolls_back=True)
    outcome = run_playbook(atomic, "deploy", version="7.2.6", max_failures=2)
    assert outcome.returncode == 2
    failed = outcome.last("h1")
    assert (failed["phase"], failed["state"]) == ("verifying", "failed")
    assert failed["message"].startswith("verifying: 7.2.5 is booted, not ")
    assert [outcome.last(name)["state"] for name in ("h2", "h3")] == ["not_started", "not_started"]
    assert rpm_ostree.orders(atomic.host("h2")) == []


def test_a_version_that_is_not_there_fails_with_the_words_of_the_host_and_takes_none_out_of_service(atomic):
    before = {host.name: host.boots() for host in atomic.hosts}
    outcome = run_playbook(atomic, "deploy", version="8", max_failures=3)
    assert outcome.returncode == 2
    for host in atomic.hosts:
        last = outcome.last(host.name)
        assert (last["phase"], last["state"]) == ("deploying", "failed")
        assert "error: Version 8 not found" in last["message"]
        assert host.boots() == before[host.name]


@pytest.mark.parametrize("version", ["--help", "7.2.6; reboot", "$(reboot)", "7.2.6\n", ""])
def test_what_is_no_version_never_gets_to_a_host(atomic, version):
    outcome = run_playbook(atomic, "deploy", "--limit", "h1", version=version)
    assert outcome.returncode == 2
    assert "version must be the version, checksum or ref of an OSTree deployment" in outcome.output
    assert (atomic.host("h1").root / rpm_ostree.LOG).read_text() == ""


def test_atomic_hosts_upgrade_to_the_newest_and_only_tell_of_it_in_a_dry_run(atomic):
    dry = run_playbook(atomic, "upgrade", "--check", "--limit", "h1,h2")
    assert dry.returncode == 0, dry.output
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
    assert rpm_ostree.orders(atomic.host("h3")) == [["upgrade"]]
