"""commissaire.fleet.restart on real machines, by ansible-playbook alone."""

import subprocess
import threading
import time
from contextlib import contextmanager

import pytest

from lab import Lab

from .playbook import run_playbook

pytestmark = pytest.mark.integration


@contextmanager
def watch(lab: Lab):
    """Count, while the block runs, how many hosts are down at once; yield the list of counts."""
    counts, ended = [0], threading.Event()

    def look():
        while not ended.wait(0.02):
            counts.append(sum(host.boot_id() is None for host in lab.hosts))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield counts
    finally:
        ended.set()
        watcher.join()


def boots(lab: Lab) -> dict[str, list[str]]:
    return {host.name: host.boots() for host in lab.hosts}


@pytest.mark.parametrize("window", [1, 2])
def test_more_forks_than_places_never_take_more_than_the_window(lab, window):
    before = boots(lab)
    with watch(lab) as counts:
        outcome = run_playbook(lab, "restart", max_unavailable=window)
    assert outcome.returncode == 0, outcome.output
    assert 1 <= max(counts) <= window
    for host in lab.hosts:
        assert host.boots()[:-1] == before[host.name]
        assert [point["phase"] for point in outcome.checkpoints(host.name)] == [
            "checking",
            "rebooting",
            "verifying",
            "done",
        ]
        last = outcome.last(host.name)
        assert last["state"] == "finished"
        assert last["data"]["boot_id_before"] == before[host.name][-1]
        assert last["data"]["boot_id_after"] == host.boot_id()
        assert last["data"]["system_state"] in ("running", "degraded")
        assert 0 < last["data"]["reboot_seconds"] < 30


def noted(lab):
    """Return what the machines remember of all runs, and when that was written."""
    folders = [host.root / "var/lib/commissaire" for host in lab.hosts]
    return {path: (path.read_text(), path.stat().st_mtime_ns) for folder in folders for path in folder.glob("*")}


def test_a_dry_run_touches_nothing(lab):
    before = boots(lab), noted(lab)
    outcome = run_playbook(lab, "restart", "--check", "--diff", operation_id="dry")
    assert outcome.returncode == 0, outcome.output
    assert (boots(lab), noted(lab)) == before
    assert outcome.changed() == ["h1", "h2", "h3"]
    assert {outcome.last(host.name)["state"] for host in lab.hosts} == {"finished"}


def test_a_host_whose_packages_are_being_changed_is_not_rebooted_before_that_has_ended(lab):
    host = lab.hosts[0]
    before = boots(lab)
    work = "sleep 6; touch /root/packages-are-whole"
    host.run(["systemd-run", "--collect", "flock", "/var/lib/dpkg/lock-frontend", "sh", "-c", work])
    outcome = run_playbook(lab, "restart", commissaire_targets=host.name)
    assert outcome.returncode == 0, outcome.output
    assert host.boots()[:-1] == before[host.name]
    assert (host.root / "root/packages-are-whole").exists()


@pytest.mark.parametrize("window", ["0", "abc", "120%", "-1"])
def test_a_senseless_window_is_refused_before_anything_is_touched(lab, window):
    before = boots(lab)
    outcome = run_playbook(lab, "restart", max_unavailable=window)
    assert outcome.returncode == 2
    assert f"max_unavailable is '{window}'; give a number from 1 up" in outcome.output
    assert boots(lab) == before


def test_a_second_run_of_an_operation_restarts_nobody_again(lab):
    first = run_playbook(lab, "restart", user="operator", become=False, max_unavailable=3, operation_id="one")
    after = boots(lab)
    again = run_playbook(lab, "restart", max_unavailable=3, operation_id="one")
    assert boots(lab) == after
    assert again.changed() == []
    for host in lab.hosts:
        assert again.last(host.name)["data"] == {**first.last(host.name)["data"], "reboot_seconds": None}
    other = run_playbook(lab, "restart", "--limit", "h1", operation_id="two")
    assert (first.returncode, again.returncode, other.returncode) == (0, 0, 0)
    assert {name: len(known) for name, known in boots(lab).items()} == {
        "h1": len(after["h1"]) + 1,
        "h2": len(after["h2"]),
        "h3": len(after["h3"]),
    }


def test_an_unreachable_host_ends_the_run_within_the_budget(lab):
    run_playbook(lab, "investigate")  # ssh keeps its connections, which must not hide that one is dead
    before = boots(lab)
    lab.host("h2").cut()
    try:
        outcome = run_playbook(lab, "restart")
    finally:
        lab.host("h2").mend()
    assert outcome.returncode == 2
    assert [len(known) - len(before[name]) for name, known in boots(lab).items()] == [1, 0, 0]
    failed, kept_out = outcome.last("h2"), outcome.last("h3")
    assert (failed["phase"], failed["state"]) == ("checking", "failed")
    assert failed["message"].startswith("checking: h2 can't be reached: ssh: connect to host 10.")
    assert kept_out["state"] == "not_started"
    assert kept_out["message"] == "not started: h2 failed, and max_failures=0 is all that may"


def test_a_host_that_was_left_half_way_and_is_silent_keeps_its_place(lab):
    before = boots(lab)
    lab.host("h1").cut()
    try:
        outcome = run_playbook(lab, "restart", max_failures=2, work_begun="{{ inventory_hostname == 'h1' }}")
    finally:
        lab.host("h1").mend()
    assert outcome.returncode == 2
    assert boots(lab) == before
    failed = outcome.last("h1")
    assert (failed["phase"], failed["state"], failed["data"]) == ("checking", "failed", {"out_of_service": True})
    for name in ("h2", "h3"):
        assert outcome.last(name)["state"] == "not_started"
        assert "h1 failed out of service" in outcome.last(name)["message"]


def test_a_changed_host_key_is_a_failure_that_says_how_to_accept_it(lab, tmp_path):
    before = boots(lab)
    keys = lab.host("h1").root / "etc/ssh"
    saved = {path: path.read_bytes() for path in keys.glob("ssh_host_*")}
    try:
        for path in saved:
            path.unlink()
        lab.host("h1").run(["ssh-keygen", "-A"])
        lab.host("h1").run(["systemctl", "restart", "ssh"])
        outcome = run_playbook(lab, "restart", "--limit", "h1", ansible_control_path_dir=str(tmp_path))
    finally:
        for path, content in saved.items():
            path.write_bytes(content)
        lab.host("h1").run(["systemctl", "restart", "ssh"])
    assert outcome.returncode == 2
    assert outcome.last("h1")["state"] == "failed"
    assert "HOST IDENTIFICATION HAS CHANGED" in outcome.last("h1")["message"]
    assert "commctl host accept-key" in outcome.last("h1")["message"]
    assert boots(lab) == before


def test_a_host_that_never_comes_back_holds_its_place(lab):
    before = boots(lab)
    host = lab.host("h1")

    def cut_when_down():
        while host.boot_id() == before["h1"][-1]:
            time.sleep(0.01)
        host.cut()

    saboteur = threading.Thread(target=cut_when_down)
    saboteur.start()
    try:
        outcome = run_playbook(lab, "restart", max_failures=2, reboot_timeout_seconds=4)
    finally:
        saboteur.join()
        host.mend()
    assert outcome.returncode == 2
    assert [len(known) - len(before[name]) for name, known in boots(lab).items()] == [1, 0, 0]
    failed = outcome.last("h1")
    assert (failed["phase"], failed["state"]) == ("rebooting", "failed")
    assert failed["message"].startswith("rebooting: h1 did not come back within 4 s: connect to host 10.")
    for name in ("h2", "h3"):
        assert outcome.last(name)["state"] == "not_started"
        assert "h1 failed out of service" in outcome.last(name)["message"]
    host.wait_for_ssh(30)


def test_a_host_that_does_not_go_down_is_told_from_one_that_does_not_come_back(lab, tmp_path):
    play = tmp_path / "play.yml"
    play.write_text(
        "- hosts: h1\n  gather_facts: false\n  tasks:\n"
        "    - commissaire.fleet.reboot: {reboot_command: ['true'], timeout_seconds: 3}\n"
    )
    inventory = lab.inventory(tmp_path / "hosts.yml")
    done = lab.run(
        ["ansible-playbook", "-i", inventory, play], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 2
    assert f"h1 did not come back within 3 s: still has the boot id {lab.host('h1').boot_id()}" in done.stdout
