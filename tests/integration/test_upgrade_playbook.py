"""commissaire.fleet.upgrade on real machines, by ansible-playbook alone: a real package from a real repository."""

import json
import os
import re
import shlex
import signal
import subprocess
import threading
import time
from contextlib import contextmanager

import pytest

from lab import Lab
from lab.host import LabHost

from . import debian
from .playbook import ANSIBLE_PLAYBOOK, run_playbook
from .test_lease import is_held, until

pytestmark = pytest.mark.integration

HOLD_LOCK = """
import fcntl, sys
lock = open(sys.argv[1], "w")
fcntl.lockf(lock, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""
RELEASE_SECONDS = 20


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """The package in its versions; 3 asks for a reboot."""
    folder = tmp_path_factory.mktemp("packages")
    return {
        "1": debian.build(folder, "1"),
        "2": debian.build(folder, "2"),
        "3": debian.build(folder, "3", extra="touch /run/reboot-required"),
    }


@pytest.fixture
def canary(lab, versions) -> Lab:
    """The lab with version 1 installed everywhere and version 2 in the repository."""
    debian.install(lab, versions["1"])
    debian.publish(lab, versions["2"])
    return lab


def changes(before: dict[str, str], after: dict[str, str]) -> dict[str, tuple[str, str]]:
    return {name: (before[name], after[name]) for name in before if before[name] != after[name]}


@pytest.mark.parametrize("window", [1, 2])
def test_exactly_the_package_changes_and_never_on_more_hosts_than_the_window(canary, window):
    before = {host.name: debian.packages(host) for host in canary.hosts}
    boots = {host.name: host.boots() for host in canary.hosts}
    (canary.host("h1").root / "etc/canary.conf").write_text("mine\n")
    with all_wait_for(canary, window):
        outcome = run_playbook(canary, "upgrade", max_unavailable=window)
    assert outcome.returncode == 0, outcome.output
    assert debian.most_at_once(canary) == window
    for host in canary.hosts:
        assert changes(before[host.name], debian.packages(host)) == {"canary": ("installed 1", "installed 2")}
        assert [(what, version) for what, version, _ in debian.configured(host)] == [("begin", "2"), ("end", "2")]
        assert " upgrade canary:all 1 2\n" in (host.root / "var/log/dpkg.log").read_text()
        assert host.boots() == boots[host.name]
        phases = [point["phase"] for point in outcome.checkpoints(host.name)]
        assert phases == ["checking", "upgrading", "verifying", "done"]
        last = outcome.last(host.name)
        assert (last["state"], last["message"]) == ("finished", "1 packages changed")
        assert last["data"]["packages"] == [{"name": "canary", "before": "1", "after": "2"}]
        assert last["data"]["reboot_needed"] is False
    assert (canary.host("h1").root / "etc/canary.conf").read_text() == "mine\n"
    assert (canary.host("h2").root / "etc/canary.conf").read_text() == "version = 2\n"

    again = run_playbook(canary, "upgrade")
    assert (again.returncode, again.changed()) == (0, []), again.output
    for host in canary.hosts:
        assert [point["phase"] for point in again.checkpoints(host.name)] == ["checking", "done"]
        assert again.last(host.name)["message"] == "nothing to upgrade"
        assert len(debian.configured(host)) == 2


def test_a_dry_run_tells_what_would_be_upgraded_and_touches_nothing(canary):
    canary.host("h1").run(["apt-get", "update"], capture_output=True)  # a dry run doesn't
    before = debian.packages(canary.host("h1"))
    outcome = run_playbook(canary, "upgrade", "--check", "--diff", "--limit", "h1", operation_id="dry")
    assert outcome.returncode == 0, outcome.output
    assert debian.packages(canary.host("h1")) == before
    assert not (canary.host("h1").root / "var/lib/commissaire/packages").exists()
    assert outcome.changed() == ["h1"]
    assert outcome.last("h1")["message"] == "would upgrade canary 1 -> 2"
    assert outcome.last("h1")["data"]["planned"] == ["canary 1 -> 2"]
    assert outcome.last("h1")["data"]["packages_left"] == 1


def test_a_package_that_breaks_stops_the_run_says_why_and_is_repaired_by_the_next(canary):
    (canary.host("h2").root / "etc/canary-breaks").touch()
    outcome = run_playbook(canary, "upgrade", max_failures=1)
    assert outcome.returncode == 2
    failed = outcome.last("h2")
    assert (failed["phase"], failed["state"]) == ("upgrading", "failed")
    assert "installed canary package post-installation script subprocess returned error" in failed["message"]
    kept_out = outcome.last("h3")  # what half an upgrade does to a service, nobody knows: the host keeps its place
    assert kept_out["state"] == "not_started"
    assert "h2 failed out of service" in kept_out["message"]
    states = [debian.packages(host)["canary"] for host in canary.hosts]
    assert states == ["installed 2", "half-configured 2", "installed 1"]

    (canary.host("h2").root / "etc/canary-breaks").unlink()
    again = run_playbook(canary, "upgrade")
    assert again.returncode == 0, again.output
    assert [debian.packages(host)["canary"] for host in canary.hosts] == ["installed 2"] * 3
    assert again.last("h2")["data"]["unfinished"] == ["canary is half-configured"]
    assert again.last("h2")["message"] == "1 packages changed"


def test_an_upgrade_cut_short_with_its_machine_is_finished_and_all_it_changed_is_told(canary):
    host = canary.host("h1")
    inventory = canary.inventory(canary.directory / "hosts.yml")
    command = [
        ANSIBLE_PLAYBOOK,
        "-i",
        inventory,
        "commissaire.fleet.upgrade",
        "--limit",
        "h1",
        "-e",
        "operation_id=cut",
    ]
    with canary.popen(command, cwd="/", stdout=subprocess.DEVNULL, start_new_session=True) as controller:
        deadline = time.monotonic() + 30
        while not debian.configured(host) and time.monotonic() < deadline:
            time.sleep(0.02)
        host.power_off()
        os.killpg(controller.pid, signal.SIGKILL)
    host.power_on()
    host.wait_for_ssh()
    assert debian.packages(host)["canary"] == "half-configured 2"
    outcome = run_playbook(canary, "upgrade", "--limit", "h1", operation_id="cut", contact_timeout_seconds=30)
    assert outcome.returncode == 0, outcome.output
    assert debian.packages(host)["canary"] == "installed 2"
    assert outcome.last("h1")["data"]["packages"] == [{"name": "canary", "before": "1", "after": "2"}]
    assert outcome.last("h1")["data"]["unfinished"][-1] == "canary is half-configured"


def test_a_host_reboots_when_its_packages_ask_for_it(canary, versions):
    debian.publish(canary, versions["3"])
    before = {host.name: host.boots() for host in canary.hosts}
    outcome = run_playbook(canary, "upgrade", "--limit", "h1,h2", user="operator", become=False, max_unavailable=2)
    never = run_playbook(canary, "upgrade", "--limit", "h3", reboot="never")
    assert (outcome.returncode, never.returncode) == (0, 0), outcome.output + never.output
    assert {name: len(canary.host(name).boots()) - len(known) for name, known in before.items()} == {
        "h1": 1,
        "h2": 1,
        "h3": 0,
    }
    assert [point["phase"] for point in outcome.checkpoints("h1")] == [
        "checking",
        "upgrading",
        "rebooting",
        "verifying",
        "done",
    ]
    assert outcome.last("h1")["data"]["reboot_seconds"] > 0
    assert never.last("h3")["data"]["reboot_needed"] is True


def test_a_lock_that_is_held_is_waited_for_and_a_longer_one_named(canary):
    host = canary.host("h1")
    with holder_of_the_lock(canary, host):
        outcome = run_playbook(canary, "upgrade", "--limit", "h1", lock_timeout_seconds=2)
    assert outcome.returncode == 2
    assert outcome.last("h1")["phase"] == "checking"
    assert "Unable to acquire the dpkg frontend lock" in outcome.last("h1")["message"]
    with holder_of_the_lock(canary, host) as holder:
        release = threading.Timer(RELEASE_SECONDS, holder.stdin.close)
        release.start()
        outcome = run_playbook(canary, "upgrade", "--limit", "h1")
        release.join()
    assert outcome.returncode == 0, outcome.output
    assert debian.packages(host)["canary"] == "installed 2"
    with holder_of_the_lock(canary, host, "/var/lib/apt/lists/lock") as holder:
        busy = run_playbook(canary, "upgrade", "--limit", "h1", lock_timeout_seconds=2)
        assert "Could not get lock /var/lib/apt/lists/lock" in busy.last("h1")["message"]
        release = threading.Timer(RELEASE_SECONDS, holder.stdin.close)
        release.start()
        outcome = run_playbook(canary, "upgrade", "--limit", "h1")
        release.join()
    assert outcome.returncode == 0, outcome.output


def test_a_host_whose_lease_was_lost_before_anything_was_changed_gives_its_place_back(canary):
    host = canary.host("h1")
    lease = host.root / "var/lib/commissaire/lease"
    with holder_of_the_lock(canary, host) as holder:

        def steal() -> None:
            until(lambda: is_held(host))
            lease.write_text(re.sub(r"^token=(\d+)$", r"token=1\1", lease.read_text(), flags=re.MULTILINE))
            holder.stdin.close()

        thief = threading.Thread(target=steal)
        thief.start()
        outcome = run_playbook(canary, "upgrade", max_failures=1)
        thief.join()
    assert outcome.last("h1")["message"].startswith("checking: h1 lost its lease"), outcome.last("h1")
    assert [outcome.last(name)["state"] for name in ("h1", "h2", "h3")] == ["failed", "finished", "finished"]
    assert debian.packages(host)["canary"] == "installed 1"


def test_a_host_leased_by_somebody_after_an_earlier_play_of_ours_gives_its_place_back(canary, tmp_path):
    site = tmp_path / "site.yml"
    play = {"import_playbook": "commissaire.fleet.upgrade"}
    lease = {"commissaire.fleet.lease": {"state": "held", "operation_id": "other"}}
    taken = {"hosts": "h1", "gather_facts": False, "tasks": [lease]}
    site.write_text(json.dumps([play, taken, play]))
    outcome = run_playbook(canary, str(site), max_failures=1)
    assert outcome.last("h1")["message"].startswith("checking: h1 is leased"), outcome.last("h1")
    assert [outcome.last(name)["state"] for name in ("h1", "h2", "h3")] == ["failed", "finished", "finished"]
    assert [outcome.last(name)["message"] for name in ("h2", "h3")] == ["nothing to upgrade"] * 2
    broken = run_playbook(canary, "lease_break", "--limit", "h1", reason="the next test needs the host")
    assert broken.returncode == 0, broken.output


@pytest.fixture
def suites(lab, tmp_path) -> Lab:
    """Three packages in version 1 everywhere; newer ones in an archive, and one in between in a security archive."""
    for name in ("app", "library", "tool"):
        package = debian.build_plain(tmp_path, name, "1", depends="library" if name == "app" else "")
        for host in lab.hosts:
            (host.root / "root" / package.name).write_bytes(package.read_bytes())
            host.run(["dpkg", "--unpack", f"/root/{package.name}"], capture_output=True)
    for host in lab.hosts:
        host.run(["dpkg", "--configure", "--pending"], capture_output=True)
        host.run(["apt-mark", "auto", "tool"], capture_output=True)
        (host.root / debian.KERNEL_HOOK).unlink(missing_ok=True)
    archive = [debian.build_plain(tmp_path, *package) for package in (("app", "3"), ("library", "2"), ("tool", "2"))]
    security = [
        debian.build_plain(tmp_path, "app", "2", "library, addition"),
        debian.build_plain(tmp_path, "addition", "1"),
    ]
    debian.publish_suites(lab, {"stable": archive, "stable-security": security})
    return lab


def test_only_what_was_asked_for_is_upgraded_and_nothing_of_that_stays_on_the_host(suites):
    before = {host.name: debian.packages(host) for host in suites.hosts}

    def changed(name: str) -> dict[str, tuple[str | None, str]]:
        after = debian.packages(suites.host(name))
        return {each: (before[name].get(each), after[each]) for each in after if before[name].get(each) != after[each]}

    secured = run_playbook(suites, "upgrade", "--limit", "h1", security_only=True)
    assert secured.returncode == 0, secured.output
    assert changed("h1") == {"app": ("installed 1", "installed 2"), "addition": (None, "installed 1")}
    last = secured.last("h1")
    unknown = "nothing on the host tells whether it needs a reboot"  # no needrestart, and no hook of kernels
    assert (last["message"], last["data"]["packages_left"]) == (f"2 packages changed, 3 left; {unknown}", 3)
    assert last["data"]["reboot_needed"] is None
    pinned = pins(suites.host("h1"))
    assert "a=*-security" in pinned
    dry = run_playbook(suites, "upgrade", "--check", "--limit", "h1", hold=["app"])
    assert (dry.returncode, pins(suites.host("h1"))) == (0, pinned), dry.output
    assert (last["data"]["security_only"], last["data"]["held"]) == (True, [])

    listed = run_playbook(
        suites, "upgrade", "--limit", "h2", only_packages="app=2,tool,not-there", hold=["librar?", "zsh"]
    )
    assert listed.returncode == 0, listed.output
    assert changed("h2") == {
        "app": ("installed 1", "installed 2"),
        "addition": (None, "installed 1"),
        "tool": ("installed 1", "installed 2"),
    }
    assert listed.last("h2")["data"]["held"] == ["library"]
    assert listed.last("h2")["data"]["packages_left"] == 2
    said = suites.host("h2").run(["apt-mark", "showauto"], capture_output=True, text=True).stdout.split()
    assert "tool" in said  # nobody asked for it but the list

    held = run_playbook(suites, "upgrade", "--limit", "h3", hold=["app"])
    assert held.returncode == 0, held.output
    assert set(changed("h3")) == {"library", "tool"}
    free = run_playbook(suites, "upgrade", "--limit", "h3")
    assert (free.returncode, changed("h3")["app"]) == (0, ("installed 1", "installed 3")), free.output
    assert free.last("h3")["data"]["packages_left"] == 0


def test_packages_unpacked_without_what_they_need_are_repaired(suites):
    host = suites.host("h1")
    host.run(["dpkg", "--unpack", "/srv/stable-security/app_2_all.deb"], capture_output=True)
    outcome = run_playbook(suites, "upgrade", "--limit", "h1")
    assert outcome.returncode == 0, outcome.output
    assert debian.packages(host)["app"] == "installed 3"
    assert "app is unpacked" in outcome.last("h1")["data"]["unfinished"]


def test_what_the_apt_of_a_host_cannot_do_is_refused_before_anything_changes(suites):
    before = debian.packages(suites.host("h1"))
    older = run_playbook(suites, "upgrade", "--limit", "h1", only_packages=["app=0.5"])
    assert older.returncode == 2
    assert older.last("h1")["phase"] == "checking"
    assert "E: Version '0.5' for 'app' was not found" in older.last("h1")["message"]
    pinned = run_playbook(suites, "upgrade", "--limit", "h1", snapshot="20260101T000000Z")
    assert pinned.returncode == 2
    assert pinned.last("h1")["message"].startswith("checking: the apt of h1 can't take a snapshot, apt-get says: E: ")
    assert debian.packages(suites.host("h1")) == before


def pins(host: LabHost) -> str:
    """Return the preferences that the last real upgrade of a machine gave to its apt."""
    return str(host.run(["cat", "/run/commissaire/upgrade/preferences"], capture_output=True, text=True).stdout)


@contextmanager
def holder_of_the_lock(lab: Lab, host: LabHost, file: str = "/var/lib/dpkg/lock-frontend"):
    """Hold a lock of dpkg's or apt's on a machine, until the end of the block or until the holder's input is closed."""
    command = [*lab.ssh(host), shlex.join(["python3", "-c", HOLD_LOCK, file])]
    with lab.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        yield holder
        holder.stdin.close()


@contextmanager
def all_wait_for(lab: Lab, number: int):
    """Let no machine end its configuring before `number` of them are in it, or three minutes after.

    They stay in it for another second, in which one too many shows itself.
    """
    marks = [host.root / "etc/canary-waits" for host in lab.hosts]

    def let_go() -> None:
        deadline = time.monotonic() + 180
        while sum(bool(debian.configured(host)) for host in lab.hosts) < number and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1)
        for mark in marks:
            mark.unlink()

    for mark in marks:
        mark.touch()
    waiting = threading.Thread(target=let_go)
    waiting.start()
    try:
        yield
    finally:
        waiting.join()
