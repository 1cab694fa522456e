"""Control over REST, on real machines: what an operation does when it is paused, cancelled, tried out or killed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from lab import Lab
from lab.host import LabHost

from .controller import Controller
from .processes import playbook

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def controller(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    with Controller(lab, tmp_path_factory.mktemp("control")) as controller:
        controller.add_hosts("web")
        yield controller


def boots(controller: Controller) -> list[int]:
    return [len(host.boots()) for host in controller.lab.hosts]


def is_leased(host: LabHost) -> bool:
    lease = host.root / "var/lib/commissaire/lease"
    return lease.exists() and "\nowner=\n" not in lease.read_text()


def reaches(controller: Controller, operation: str, state: str) -> dict[str, Any]:
    controller.until(
        lambda: controller.ask("GET", operation).json()["state"] == state, 120, f"{operation} to be {state}"
    )
    shown: dict[str, Any] = controller.ask("GET", operation).json()
    return shown


def test_a_paused_restart_finishes_its_hosts_starts_no_other_and_goes_on_when_resumed(controller: Controller) -> None:
    before = boots(controller)
    operation = controller.restart("web")
    paused = controller.ask("POST", f"{operation}/pause", {"reason": "the auditors are here"})
    assert paused.status_code == 202
    shown = reaches(controller, operation, "paused")
    assert shown["message"] == "paused by admin: the auditors are here"
    done = shown["hosts"]["finished"]
    assert (done < 3, shown["hosts"]) == (True, {**shown["hosts"], "pending": 3 - done, "running": 0, "failed": 0})
    assert sum(boots(controller)) - sum(before) == done
    assert controller.processes_of_playbooks() == []

    assert controller.ask("POST", f"{operation}/resume").status_code == 202
    shown = controller.ended(operation, 180)
    assert (shown["state"], shown["message"]) == ("finished", "3 restarted")
    assert boots(controller) == [number + 1 for number in before]


def test_a_restart_cancelled_after_its_current_hosts_leaves_none_half_way(controller: Controller) -> None:
    before = boots(controller)
    operation = controller.restart("web")
    assert controller.ask("POST", f"{operation}/cancel", {"after_current_hosts": True}).status_code == 202
    shown = controller.ended(operation, 180)
    assert (shown["state"], shown["hosts"]["cancelled"], shown["hosts"]["failed"]) == ("cancelled", 0, 0)
    done = shown["hosts"]["finished"]
    assert (done < 3, shown["hosts"]["not_started"]) == (True, 3 - done)
    assert sum(boots(controller)) - sum(before) == done

    again = controller.ask("POST", f"{operation}/retry").json()
    assert controller.ended(f"/api/v1/operations/{again['id']}", 180)["message"] == f"{3 - done} restarted"
    assert boots(controller) == [number + 1 for number in before]


def test_a_cancelled_restart_says_how_the_host_is_left_and_keeps_no_later_one_off_it(controller: Controller) -> None:
    first = controller.lab.hosts[0]
    operation = controller.restart("web")
    controller.until(lambda: is_leased(first), 60, "the lease")
    assert controller.ask("POST", f"{operation}/cancel").status_code == 202
    shown = controller.ended(operation, 60)
    assert shown["state"] == "cancelled"
    row = controller.hosts_of(operation)[first.address]
    assert row["state"] in ("cancelled", "not_started")
    if row["state"] == "cancelled":
        assert row["message"].startswith(f"cancelled while {row['phase']}: ")
    first.wait_for_ssh(60)
    assert controller.ended(controller.restart("web"), 180)["message"] == "3 restarted"


def test_a_dry_run_tells_what_would_be_done_and_does_nothing(controller: Controller) -> None:
    before = boots(controller)
    asked = controller.ask("POST", "/api/v1/operations", {"kind": "restart", "cluster": "web", "dry_run": True})
    shown = controller.ended(f"/api/v1/operations/{asked.json()['id']}", 120)
    assert (shown["state"], shown["message"]) == ("finished", "3 would be restarted")
    assert boots(controller) == before


def test_a_killed_playbook_goes_on_by_itself_and_restarts_nobody_twice(controller: Controller) -> None:
    before = boots(controller)
    operation = controller.restart("web")
    controller.until(controller.phase(operation, controller.lab.hosts[0].address, "verifying", "done"), 90, "a restart")
    main = playbook(controller)
    assert main is not None
    os.kill(main, signal.SIGKILL)
    shown = controller.ended(operation, 240)
    assert (shown["state"], shown["message"], shown["attempt"]) == ("finished", "3 restarted", 2)
    assert boots(controller) == [number + 1 for number in before]


def test_a_lease_is_shown_and_broken_and_its_holder_does_nothing_more(controller: Controller) -> None:
    first, second, _third = controller.lab.hosts
    (first.root / "var/lib/commissaire/lease").write_text(
        "token=41\nowner=a laptop\noperation=\nseconds=600\nexpires=99999999999\nsince=1\n"
    )
    shown = controller.commctl("lease", "list", "--cluster", "web", "--output", "json")
    assert shown.returncode == 0, shown.stderr
    leases = {row["address"]: row for row in json.loads(shown.stdout)}
    assert (leases[first.address]["owner"], leases[first.address]["token"]) == ("a laptop", 41)
    assert 590 < leases[first.address]["left_seconds"] <= 600  # whatever a clock did: no longer than it was taken for
    assert (leases[second.address]["owner"], leases[second.address]["message"]) == ("", "held by nobody")

    operation = controller.restart("web")
    assert "is leased: held by a laptop" in controller.ended(operation)["message"]
    broken = controller.commctl("lease", "break", first.address, "--reason", "it was stolen", "--output", "json")
    assert broken.returncode == 0, broken.stderr
    assert json.loads(broken.stdout)[0]["message"].startswith("broken; it was held by a laptop, for another ")
    said = first.run(["journalctl", "--output=cat", "--identifier=commissaire"], text=True, capture_output=True).stdout
    assert said.splitlines()[-1] == "lease 41 of a laptop broken by admin: it was stolen"
    assert controller.ended(controller.restart("web"), 180)["message"] == "3 restarted"
