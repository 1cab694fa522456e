"""An operation outside its maintenance windows: from the request to the queue and back, all but the playbook itself.

In the playbook's place stands what its gate decides, by the variables that the launcher gives it.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils.windows import plan_window, read_calendar
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from api.conftest import HOST_KEY, Fleet, checkpoint
from commissaire.launcher.job import Job
from commissaire.launcher.launcher import Launcher
from commissaire.records import Operation

STATES = {"pause": "pending", "leave": "pending", "refuse": "not_started"}
NOW = datetime.now(UTC).replace(microsecond=0)
SHUT = {"from": (NOW - timedelta(hours=1)).isoformat(), "to": (NOW + timedelta(days=1)).isoformat(), "reason": "sale"}
OVER = {"from": (NOW - timedelta(days=2)).isoformat(), "to": (NOW - timedelta(days=1)).isoformat()}


class Gate:
    """Stands for the supervisors: each host is restarted, or told what its gate decides."""

    stopping = False

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def run(
        self, job: Job, write: Callable[[list[dict[str, Any]]], None], begin: Callable[[], float | None]
    ) -> dict[str, Any]:
        self.jobs.append(job)
        variables = job.extra_vars
        calendar = read_calendar(
            variables.get("maintenance_windows", []), variables["blackouts"], variables.get("outside_window", "wait")
        )
        decision = plan_window(calendar, time.time(), begun=False)
        for host, own in job.inventory["all"]["hosts"].items():
            if decision is None or own.get("interrupted"):
                write([checkpoint(host, "done", "finished")])
            else:
                data = {"resume_at": decision.until or None} if decision.action != "refuse" else {}
                write([checkpoint(host, "waiting", STATES[decision.action], decision.message, **data)])
        return {"rc": 0, "message": ""}


@pytest.fixture
def gate(fleet: Fleet, tmp_path: Path) -> Gate:
    """A cluster of two hosts with keys that ssh could use."""
    private = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    fleet.cluster("web")
    for address in ("10.0.0.1", "10.0.0.2"):
        fleet.host(address, cluster="web", ssh_priv_key=base64.b64encode(private).decode(), ssh_host_key=HOST_KEY)
    fleet.end(1)
    return Gate()


def ask(fleet: Fleet, **parameters: Any) -> int:
    body = {"kind": "restart", "cluster": "web", "parameters": parameters}
    answer = fleet.client.post("/api/v1/operations", json=body)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def work(fleet: Fleet, gate: Gate, directory: Path) -> bool:
    """Carry out what is queued, as a worker does; return whether something was due."""
    services = fleet.services
    claim = services.dispatcher.claim(("restart",), 0)
    if claim is not None:
        supervisors: Any = gate
        launcher = Launcher(services.database, services.secrets, services.notices, supervisors, directory, directory)
        launcher.run(claim)
    return claim is not None


def shown(fleet: Fleet, operation: int) -> dict[str, Any]:
    body: dict[str, Any] = fleet.client.get(f"/api/v1/operations/{operation}").json()
    return body


def change(fleet: Fleet, operation: int, **fields: Any) -> None:
    with fleet.services.database.write() as session:
        record = session.get_one(Operation, operation)
        for name, value in fields.items():
            setattr(record, name, value)
        session.add(record)


@pytest.mark.parametrize("outside", ["wait", None])
def test_it_waits_in_the_queue_and_goes_on_when_hosts_may_start(
    fleet: Fleet, gate: Gate, tmp_path: Path, outside: str | None
) -> None:
    told = {"outside_window": outside} if outside else {}
    operation = ask(fleet, blackouts=[SHUT], **told)
    assert work(fleet, gate, tmp_path)
    waiting = shown(fleet, operation)
    assert (waiting["state"], waiting["hosts"]["pending"]) == ("queued", 2)
    assert datetime.fromisoformat(waiting["not_before"]) == datetime.fromisoformat(SHUT["to"])
    assert waiting["message"].startswith("waits: blackout (sale); hosts may start from ")
    assert not work(fleet, gate, tmp_path)
    parameters = {**waiting["parameters"], "blackouts": [OVER]}
    change(fleet, operation, not_before=NOW, parameters=parameters)  # a day later
    assert work(fleet, gate, tmp_path)
    assert (shown(fleet, operation)["state"], shown(fleet, operation)["message"]) == ("finished", "2 restarted")


def test_it_is_refused_unless_it_has_begun(fleet: Fleet, gate: Gate, tmp_path: Path) -> None:
    operation = ask(fleet, blackouts=[SHUT], outside_window="refuse")
    assert work(fleet, gate, tmp_path)
    refused = shown(fleet, operation)
    assert refused["state"] == "failed"
    assert refused["message"].startswith("not started: blackout (sale); hosts may start from ")
    assert refused["message"].endswith(" (2 not started)")
    begun = ask(fleet, blackouts=[SHUT], outside_window="refuse")
    change(fleet, begun, attempt=1)
    assert work(fleet, gate, tmp_path)
    assert shown(fleet, begun)["state"] == "queued"


def test_it_is_paused_until_somebody_resumes_it(fleet: Fleet, gate: Gate, tmp_path: Path) -> None:
    operation = ask(fleet, blackouts=[SHUT], outside_window="pause")
    assert work(fleet, gate, tmp_path)
    paused = shown(fleet, operation)
    assert (paused["state"], paused["halt"], paused["not_before"]) == ("paused", "pause", None)
    assert paused["message"].endswith("once somebody lets it go on")
    assert not work(fleet, gate, tmp_path)
    change(fleet, operation, parameters={**paused["parameters"], "blackouts": [OVER]})
    assert fleet.client.post(f"/api/v1/operations/{operation}/resume").status_code == 202
    assert work(fleet, gate, tmp_path)
    assert shown(fleet, operation)["state"] == "finished"


def test_a_host_that_was_interrupted_is_finished_at_any_time(fleet: Fleet, gate: Gate, tmp_path: Path) -> None:
    operation = ask(fleet, blackouts=[SHUT])
    fleet.claim().write([checkpoint("10.0.0.2", "rebooting")])
    change(fleet, operation, state="queued", owner=None)
    assert work(fleet, gate, tmp_path)
    assert list(gate.jobs[0].inventory["all"]["hosts"]) == ["10.0.0.2", "10.0.0.1"]
    waiting = shown(fleet, operation)
    assert (waiting["state"], waiting["hosts"]["finished"], waiting["hosts"]["pending"]) == ("queued", 1, 1)


def test_what_an_earlier_attempt_left_away_and_the_whole_cluster_are_told(
    fleet: Fleet, gate: Gate, tmp_path: Path
) -> None:
    for address, zone in (("10.0.0.1", "a"), ("10.0.0.2", "b")):
        fleet.set(address, labels={"zone": zone})
    fleet.host("10.0.0.3", cluster="web")
    asked = ask(
        fleet,
        hosts=["10.0.0.[12]"],
        host_order="reverse_inventory",
        failure_domain="zone",
        one_domain_at_a_time=True,
        max_unavailable=2,
        max_failures=1,
        min_healthy="50%",
        blackouts=[OVER],
    )
    fleet.claim().write([checkpoint("10.0.0.2", "rebooting", "failed", "gone")])
    change(fleet, asked, state="queued", owner=None)
    assert work(fleet, gate, tmp_path)
    (job,) = gate.jobs
    assert list(job.inventory["all"]["hosts"]) == ["10.0.0.1"]
    assert job.inventory["all"]["hosts"]["10.0.0.1"]["commissaire_labels"] == {"zone": "a"}
    assert job.extra_vars["domains_away"] == ["b"]
    assert job.extra_vars["min_healthy_of"] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert not {"hosts", "host_order"} & set(job.extra_vars)
