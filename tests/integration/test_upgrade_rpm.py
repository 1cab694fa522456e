"""commissaire.fleet.upgrade of real RPM packages on real machines, with Debian's dnf and zypper; yum is a stand-in."""

import shutil
from pathlib import Path

import pytest

from lab import Lab

from . import redhat
from .playbook import run_playbook

pytestmark = pytest.mark.integration

INSTALLED = [("app", "1"), ("library", "1"), ("linux-firmware", "1"), ("tool", "1")]
BUILT = {
    **dict.fromkeys(INSTALLED, ""),
    ("addition", "1"): "",
    ("app", "2"): "Requires: addition",
    ("app", "3"): "Requires: library = 2",
    ("library", "2"): "",
    ("linux-firmware", "2"): "",
    ("tool", "2"): "",
    ("tool", "3"): '%pre -p <lua>\nerror("there is no way")',
}
CURRENT = [*(each for each in BUILT if each != ("tool", "3") and each not in INSTALLED[1:])]
NEWEST = {"addition": "1", "app": "3", "library": "2", "linux-firmware": "2", "tool": "2"}


@pytest.fixture(scope="module")
def fleet(lab_possible):
    """Four packages in version 1 on three machines; a repository of today, an older one, and one with a bad package."""
    with Lab.make(hosts=3, packages=redhat.PACKAGES) as lab:
        maker = lab.hosts[0]
        redhat.build(maker, BUILT)
        redhat.publish(maker, "current", CURRENT, security=("app", "2"))
        redhat.publish(maker, "june", [("addition", "1"), ("app", "2")], security=("app", "2"))
        redhat.publish(maker, "broken", [("tool", "3")], security=("tool", "3"))
        redhat.equip(lab, INSTALLED, "current")
        yield lab


def test_dnf_upgrades_what_was_asked_for_tells_what_changed_and_reboots_where_that_is_needed(fleet):
    before = {host.name: redhat.packages(host) for host in fleet.hosts}
    boots = {host.name: len(host.boots()) for host in fleet.hosts}
    assert before["h1"] == dict(INSTALLED)

    dry = run_playbook(fleet, "upgrade", "--check", "--limit", "h1")
    assert (dry.returncode, dry.changed()) == (0, ["h1"]), dry.output
    assert "linux-firmware-2-1.noarch" in dry.last("h1")["message"]
    assert dry.last("h1")["data"]["packages_left"] == 4
    assert redhat.packages(fleet.host("h1")) == before["h1"]

    secured = run_playbook(fleet, "upgrade", "--limit", "h1", security_only=True)
    assert secured.returncode == 0, secured.output
    assert redhat.packages(fleet.host("h1")) == {**before["h1"], "app": "2", "addition": "1"}
    last = secured.last("h1")
    assert (last["state"], last["message"]) == ("finished", "2 packages changed, 4 left")
    assert last["data"]["packages"] == [
        {"name": "addition.noarch", "before": None, "after": "1-1"},
        {"name": "app.noarch", "before": "1-1", "after": "2-1"},
    ]
    assert (last["data"]["security_only"], last["data"]["reboot_needed"]) == (True, False)

    chosen = {"only_packages": ["app=2", "tool", "not-there"], "hold": "lib*,zsh"}
    listed = run_playbook(fleet, "upgrade", "--limit", "h2", **chosen)
    assert listed.returncode == 0, listed.output
    assert redhat.packages(fleet.host("h2")) == {**before["h2"], "app": "2", "addition": "1", "tool": "2"}
    assert (listed.last("h2")["data"]["held"], listed.last("h2")["data"]["packages_left"]) == (["library"], 3)
    unchanged = run_playbook(fleet, "upgrade", "--limit", "h2", **chosen)
    assert (unchanged.returncode, unchanged.changed()) == (0, []), unchanged.output
    assert unchanged.last("h2")["message"] == "nothing to upgrade, 3 left"
    older = run_playbook(fleet, "upgrade", "--limit", "h2", only_packages="app=1")
    assert (older.returncode, older.last("h2")["message"]) == (2, "checking: app is 2-1, not 1")

    pinned = run_playbook(fleet, "upgrade", "--limit", "h3", snapshot="june")
    assert pinned.returncode == 0, pinned.output
    assert redhat.packages(fleet.host("h3")) == {**before["h3"], "app": "2", "addition": "1"}
    assert pinned.last("h3")["data"]["packages_left"] == 0
    assert {host.name: len(host.boots()) for host in fleet.hosts} == boots

    outcome = run_playbook(fleet, "upgrade", max_unavailable=3)
    assert outcome.returncode == 0, outcome.output
    for host in fleet.hosts:
        assert redhat.packages(host) == NEWEST
        assert len(host.boots()) == boots[host.name] + 1
        assert outcome.last(host.name)["data"]["packages_left"] == 0
    phases = [point["phase"] for point in outcome.checkpoints("h3")]
    assert phases == ["checking", "upgrading", "rebooting", "verifying", "done"]

    broken = run_playbook(fleet, "upgrade", "--limit", "h1", snapshot="broken")
    assert broken.returncode == 2, broken.output
    assert (broken.last("h1")["phase"], broken.last("h1")["state"]) == ("upgrading", "failed")
    assert "tool" in broken.last("h1")["message"], broken.last("h1")
    assert redhat.packages(fleet.host("h1"))["tool"] == "2"


def test_zypper_upgrades_what_was_asked_for_and_its_own_words_say_why_it_could_not(fleet):
    host = fleet.host("h3")
    redhat.equip_with_zypper(host, "current")
    redhat.reset(host, INSTALLED)
    before = redhat.packages(host)

    refused = run_playbook(fleet, "upgrade", "--limit", "h3", security_only=True, only_packages="app")
    assert (refused.returncode, refused.last("h3")["phase"]) == (2, "checking"), refused.output
    assert "zypper knows security patches" in refused.last("h3")["message"]

    dry = run_playbook(fleet, "upgrade", "--check", "--limit", "h3")
    assert (dry.returncode, dry.changed()) == (0, ["h3"]), dry.output
    assert dry.last("h3")["data"]["packages_left"] == 4
    assert redhat.packages(host) == before

    secured = run_playbook(fleet, "upgrade", "--limit", "h3", security_only=True, hold=["lib*"])
    assert secured.returncode == 0, secured.output
    assert redhat.packages(host) == {**before, "app": "2", "addition": "1"}
    last = secured.last("h3")
    assert (last["message"], last["data"]["held"]) == ("2 packages changed, 4 left", ["library"])
    assert not (host.root / "etc/zypp/locks").exists()

    listed = run_playbook(fleet, "upgrade", "--limit", "h3", only_packages=["tool=2", "not-there"])
    assert listed.returncode == 0, listed.output
    assert redhat.packages(host) == {**before, "app": "2", "addition": "1", "tool": "2"}

    broken = run_playbook(fleet, "upgrade", "--limit", "h3", snapshot="broken")
    assert (broken.returncode, broken.last("h3")["phase"]) == (2, "upgrading"), broken.output
    assert "Installation of tool-3-1.noarch failed" in broken.last("h3")["message"]
    assert "there is no way" in broken.last("h3")["message"]

    outcome = run_playbook(fleet, "upgrade", "--limit", "h3")
    assert outcome.returncode == 0, outcome.output
    assert redhat.packages(host) == NEWEST
    assert (outcome.last("h3")["data"]["packages_left"], outcome.last("h3")["data"]["reboot_needed"]) == (0, False)
    again = run_playbook(fleet, "upgrade", "--limit", "h3")
    assert (again.returncode, again.changed()) == (0, []), again.output


def test_yum_is_told_what_was_asked_for(fleet):
    host = fleet.host("h2")
    stand_in = Path(__file__).with_name("stand_in")
    redhat.leave_only(host, stand_in / "yum", stand_in / "needs-restarting")
    redhat.reset(host, INSTALLED)
    shutil.copy(host.root / redhat.REPOSITORIES / "current/tool-2-1.noarch.rpm", host.root / "srv/tool.rpm")

    secured = run_playbook(fleet, "upgrade", "--limit", "h2", security_only=True, hold=["lib*"], snapshot="7.9")
    assert secured.returncode == 0, secured.output
    assert redhat.packages(host)["tool"] == "2"
    data = secured.last("h2")["data"]
    assert data["packages"] == [{"name": "tool.noarch", "before": "1-1", "after": "2-1"}]
    assert (data["planned"], data["packages_left"], data["reboot_needed"]) == (["tool.noarch 2-1"], 0, False)
    again = run_playbook(fleet, "upgrade", "--limit", "h2", only_packages=["app", "tool=2", "not-there"])
    assert (again.returncode, again.changed()) == (0, []), again.output
    assert (host.root / "var/log/yum").read_text().splitlines() == [
        "--quiet --releasever=7.9 --security --exclude=lib* check-update",
        "--assumeyes --releasever=7.9 --security --exclude=lib* update",
        "--quiet --releasever=7.9 check-update",
        "--quiet check-update app tool-2",
        "--quiet check-update",
    ]
