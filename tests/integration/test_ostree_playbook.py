"""commissaire.fleet.upgrade and deploy with the real ostree; only its boot is a stand-in."""

from itertools import groupby

import pytest

from lab import Lab
from lab.host import LabHost

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
        assert last["message"] == (f"booted {booted}" if changed else f"{booted} is booted already")
        assert len(host.boots()) == len(before[1]) + changed

    outcome = run_playbook(atomic, "deploy", version="8")
    assert outcome.returncode == 2
    assert (outcome.last("h1")["phase"], outcome.last("h1")["state"]) == ("staging", "failed")
    assert "has no version 8" in outcome.last("h1")["message"]


def test_a_deploy_that_fails_its_check_on_the_second_host_is_rolled_back_there_and_goes_no_further(lab_of, tmp_path):
    lab = lab_of(3)
    ostree.install(lab, tmp_path, ["7.2.5", "7.2.6"])
    for host in lab.hosts:
        serves(host, "7.2.5" if host.name == "h2" else "7")
    boots = {host.name: host.boots() for host in lab.hosts}
    check = {"check_after": {"command": ["/usr/local/bin/serves"], "timeout_seconds": 2}}
    outcome = run_playbook(lab, "deploy", version="7.2.6", operation_id="one", **check)
    assert outcome.returncode == 2, outcome.output
    assert [ostree.booted(host) for host in lab.hosts] == ["7.2.6", "7.2.5", "7.2.5"]
    assert [len(host.boots()) - len(boots[host.name]) for host in lab.hosts] == [1, 2, 0]
    assert [outcome.last(host.name)["state"] for host in lab.hosts] == ["finished", "failed", "not_started"]

    phases = [phase for phase, _ in groupby(point["phase"] for point in outcome.checkpoints("h2"))]
    switched = ["staging", "checking", "deploying", "rebooting", "verifying"]
    assert phases == [*switched, "rolling_back", "verifying", "rolled_back"]
    message = outcome.last("h2")["message"]
    assert message.startswith("rolled_back: h2 is not fit: ")
    assert "7.2.6 does not serve here" in message
    assert message.endswith("; rolled back to 7.2.5, which is booted, and fit")
    record = outcome.checkpoints("h2")[-2]["data"]
    before, after = ({"version": version, "origin": "origin:debian/stable"} for version in ("7.2.5", "7.2.6"))
    assert (
        record["deployment_before"]
        == record["deployment_after"]
        == before | {"checksum": ostree.checksum(lab, "7.2.5")}
    )
    assert (record["rolled_back"], record["why"] in message) == (True, True)
    assert outcome.last("h1")["data"]["deployment_after"] == after | {"checksum": ostree.checksum(lab, "7.2.6")}
    assert "h2 failed, and max_failures=0 is all that may" in outcome.last("h3")["message"]
    staged_on_h3 = [point["message"] for point in outcome.checkpoints("h3") if point["phase"] == "staging"]
    assert staged_on_h3 == ["", "staged 7.2.6"]

    for host in lab.hosts:
        serves(host, "7")
    done = run_playbook(lab, "deploy", version="7.2.6", operation_id="two", **check)
    assert done.returncode == 0, done.output
    assert [ostree.booted(host) for host in lab.hosts] == ["7.2.6"] * 3
    assert [len(host.boots()) - len(boots[host.name]) for host in lab.hosts] == [1, 3, 1]
    last = run_playbook(lab, "upgrade", "--limit", "h2").last("h2")
    assert last["message"] == "7.2.6 is booted already"  # its deployments follow their ref again


def serves(host: LabHost, version: str) -> None:
    """Install a check that only versions beginning with `version` pass."""
    program = host.root / "usr/local/bin/serves"
    program.write_text(f"""#!/bin/sh
running=$(ostree admin status | sed -n '/^[*]/{{n;s/.*Version: //p}}')
case $running in {version}*) ;; *) echo "$running does not serve here" >&2; exit 1 ;; esac
""")
    program.chmod(0o755)
