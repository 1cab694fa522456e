"""Maintenance windows, order and health on real machines. Time is moved by the calendar, which a run reads anew."""

import json
import threading
import time

import pytest

from lab import Lab

from .playbook import run_playbook

pytestmark = pytest.mark.integration

HOLD = "var/lib/hold"
FROM_FILE = "{{ lookup('ansible.builtin.file', calendar) | from_json }}"
YEAR = 365 * 24 * 3600


@pytest.fixture
def calendar(tmp_path):
    """A file of blackouts; runs that are given `blackouts=FROM_FILE` read it when a host's turn has come."""
    path = tmp_path / "blackouts.json"
    path.write_text("[]")
    return path


def shut(calendar) -> float:
    """Begin a blackout; return when it ends."""
    now = int(time.time())
    times = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment)) for moment in (now - YEAR, now + YEAR))
    calendar.write_text(json.dumps([dict(zip(("from", "to"), times, strict=True))]))
    return now + YEAR


def boots(lab: Lab) -> list[int]:
    return [len(host.boots()) for host in lab.hosts]


def until(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_window_that_closes_lets_hosts_under_way_finish_and_the_rest_are_for_a_later_run(lab, calendar):
    before = boots(lab)
    last = lab.host("h3")
    (last.root / HOLD).touch()
    given = {
        "host_order": "reverse_inventory", "operation_id": "night", "calendar": str(calendar), "blackouts": FROM_FILE,
        "when_paused": "end",
    }  # fmt: skip
    outcomes = []
    thread = threading.Thread(
        target=lambda: outcomes.append(run_playbook(lab, "held_restart.yml", "--forks", "1", **given))
    )
    thread.start()
    until(lambda: (last.root / "var/lib/commissaire/lease").exists())
    ends = shut(calendar)
    (last.root / HOLD).unlink()
    thread.join(300)
    (first,) = outcomes
    assert first.returncode == 0, first.output
    assert first.last("h3")["state"] == "finished"
    for name in ("h1", "h2"):
        report = first.last(name)
        assert (report["state"], report["data"]) == ("pending", {"resume_at": ends})
        assert report["message"].startswith("waits: blackout; hosts may start from ")
    assert boots(lab) == [before[0], before[1], before[2] + 1]

    refused = run_playbook(lab, "restart", **{**given, "outside_window": "refuse"})
    assert (refused.returncode, refused.last("h1")["state"]) == (2, "not_started")
    dry = run_playbook(lab, "restart", "--check", **given)
    assert (dry.returncode, dry.last("h1")["state"]) == (0, "finished")
    assert boots(lab) == [before[0], before[1], before[2] + 1]

    calendar.write_text("[]")
    second = run_playbook(lab, "restart", **given)
    assert second.returncode == 0, second.output
    assert boots(lab) == [number + 1 for number in before]


def test_hosts_start_in_turn_over_their_failure_domains_and_only_while_enough_of_them_answer(lab):
    before = boots(lab)
    given = {
        "host_order": "spread", "failure_domain": "zone", "zone": "{{ 'b' if inventory_hostname == 'h3' else 'a' }}",
        "min_healthy": "100%", "min_healthy_wait_seconds": 0, "outside_window": "wait",
    }  # fmt: skip
    lab.host("h2").cut()
    try:
        outcome = run_playbook(lab, "restart", "--forks", "3", **given)
    finally:
        lab.host("h2").mend()
    assert outcome.returncode == 2
    assert {outcome.last(host.name)["state"] for host in lab.hosts} == {"not_started"}
    assert "only 2 of 3 hosts answer, min_healthy is 3 (h2 silent)" in outcome.last("h1")["message"]
    assert boots(lab) == before
    lab.host("h2").wait_for_ssh(60)
    outcome = run_playbook(lab, "restart", "--forks", "3", **{**given, "min_healthy_wait_seconds": 120})
    assert outcome.returncode == 0, outcome.output
    ended = [name for name, result in outcome.results if result.get("checkpoint", {}).get("phase") == "done"]
    assert ended == ["h1", "h3", "h2"]
    assert boots(lab) == [number + 1 for number in before]
