"""REST v1: what hosts of a rolling operation are checked for, who may ask for that, and what is skipped."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.testclient import TestClient

from api.conftest import PASSWORD, USERS, Fleet, checkpoint, settings_in
from commissaire.app import create_app
from commissaire.commctl.explain import explain
from commissaire.commctl.story import fetch
from commissaire.records import Operation, Schedule

RESTART = {"kind": "restart", "cluster": "web"}
EVERYTHING = {
    "check_before": {"disk": [{"path": "/var", "free_bytes": 1000, "free_percent": 5}], "no_pending_reboot": True},
    "when_check_fails": "skip",
    "check_after": {
        "units": ["nginx", "a@b.service", "dev-a\\x2d.device"],
        "no_failed_units": True,
        "command": ["sh", "-c", 'f() {\n\techo "#$1"\n}\nf {a,b} {', ""],
        "url": "https://{host}:8443/health?a=b",
        "url_from": "host",
        "url_statuses": [200, 204],
        "playbook": "my.checks.look",
        "timeout_seconds": 0,
        "playbook_timeout_seconds": 60,
    },
    "soak_seconds": 60,
}


def test_checks_are_recorded_as_they_were_asked_for(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    answer = fleet.client.post("/api/v1/operations", json={**RESTART, "parameters": EVERYTHING})
    assert answer.status_code == 201, answer.text
    assert answer.json()["parameters"] == {**EVERYTHING, "max_unavailable": 1, "max_failures": 0}


@pytest.mark.parametrize(
    "parameters",
    [
        {"when_check_fails": "cry"},
        {"soak_seconds": -1},
        {"check_before": {"colour": "blue"}},
        {"check_before": {"units": "nginx"}},
        {"check_before": {"units": ["a b"]}},
        {"check_before": {"units": ["{{ x }}"]}},
        {"check_before": {"no_failed_units": "yes"}},
        {"check_before": {"disk": [{"free_bytes": 1}]}},
        {"check_before": {"disk": [{"path": "var"}]}},
        {"check_before": {"disk": [{"path": "/{{x}}"}]}},
        {"check_before": {"disk": [{"path": "/", "free_percent": 101}]}},
        {"check_after": {"command": "true"}},
        {"check_after": {"command": []}},
        {"check_after": {"command": ["echo", "{{ lookup('pipe', 'id') }}"]}},
        {"check_after": {"command": ["echo", "a {% if x %}"]}},
        {"check_after": {"command": ["echo", "{# x"]}},
        {"check_after": {"command": ["echo", "#jinja2: variable_start_string: '[['"]}},
        {"check_after": {"command": ["a\0b"]}},
        {"check_after": {"url": "file:///etc/passwd"}},
        {"check_after": {"url": "http://{{ x }}"}},
        {"check_after": {"url": "http://{host}/{x}"}},
        {"check_after": {"url": "http://x", "url_statuses": [99]}},
        {"check_after": {"playbook": "look.yml"}},
        {"check_after": {"playbook": "/root/look.yml"}},
        {"check_after": {"playbook": "my.checks.{{x}}"}},
        {"check_after": {"timeout_seconds": 86401}},
    ],
)
def test_checks_that_can_not_be_made_and_templates_are_refused(fleet: Fleet, parameters: dict[str, Any]) -> None:
    fleet.cluster("web", "10.0.0.1")
    answer = fleet.client.post("/api/v1/operations", json={**RESTART, "parameters": parameters})
    assert (answer.status_code, answer.json()["status"]) == (400, 400)


@pytest.fixture
def operator(tmp_path: Path, empty_database: Path) -> Iterator[TestClient]:
    """A client of an operator, of an application that has a cluster."""
    hashed = next(iter(USERS.values()))["hash"]
    users = {role: {"hash": hashed, "role": role} for role in ("administrator", "operator")}
    plugin = {"name": "httpbasicauth", "users": users}
    with TestClient(create_app(settings_in(tmp_path, empty_database, authentication_plugins=[plugin]))) as client:
        client.auth = ("administrator", PASSWORD)
        assert client.put("/api/v0/cluster/web").status_code == 201
        client.auth = ("operator", PASSWORD)
        yield client


@pytest.mark.parametrize("when", ["check_before", "check_after"])
@pytest.mark.parametrize(
    ("demands", "status"),
    [({"command": ["true"]}, 403), ({"playbook": "a.b.c"}, 403), ({"url": "http://x", "units": ["ssh"]}, 201)],
)
def test_only_administrators_run_code_on_hosts(
    operator: TestClient, when: str, demands: dict[str, Any], status: int
) -> None:
    answer = operator.post("/api/v1/operations", json={**RESTART, "parameters": {when: demands}})
    assert answer.status_code == status
    if status == 403:
        assert "a check by a command or playbook needs administrator" in answer.json()["detail"]
    schedule = {"name": "nightly", "cron": "0 3 * * *", "operation": {**RESTART, "parameters": {when: demands}}}
    assert operator.post("/api/v1/schedules", json=schedule).status_code == status
    schedule.pop("name")
    changed = operator.put("/api/v1/schedules/nightly", json=schedule)
    assert changed.status_code == (403 if status == 403 else 200)


def test_only_administrators_let_a_schedule_run_code_on_hosts(operator: TestClient) -> None:
    code = {**RESTART, "parameters": {"check_after": {"command": ["true"]}}}
    schedule = {"name": "nightly", "cron": "0 3 * * *", "enabled": False, "operation": code}
    operator.auth = ("administrator", PASSWORD)
    assert operator.post("/api/v1/schedules", json=schedule).status_code == 201
    operator.auth = ("operator", PASSWORD)
    for verb in ("enable", "run"):
        refused = operator.post(f"/api/v1/schedules/nightly/{verb}")
        assert (refused.status_code, "needs administrator" in refused.json()["detail"]) == (403, True)
    assert operator.get("/api/v1/schedules/nightly").json()["enabled"] is False
    assert operator.post("/api/v1/schedules/nightly/disable").status_code == 200
    operator.auth = ("administrator", PASSWORD)
    assert operator.post("/api/v1/schedules/nightly/enable").status_code == 200
    assert operator.post("/api/v1/schedules/nightly/run").status_code == 201


def test_what_an_earlier_release_recorded_and_nobody_understands_may_be_code(operator: TestClient) -> None:
    operator.post("/api/v1/schedules", json={"name": "nightly", "cron": "0 3 * * *", "operation": RESTART})
    app: Any = operator.app
    with app.state.services.database.write() as session:
        session.get_one(Schedule, "nightly").parameters = {"check_after": {"shell": "true"}}
    assert operator.post("/api/v1/schedules/nightly/enable").status_code == 403
    operator.auth = ("administrator", PASSWORD)
    assert operator.post("/api/v1/schedules/nightly/enable").status_code == 200
    assert operator.post("/api/v1/schedules/nightly/run").status_code == 400


def test_a_skipped_host_is_counted_and_comes_again_with_a_retry(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1", "10.0.0.2")
    operation = fleet.restart()
    journal = fleet.claim()
    journal.write(
        [
            checkpoint("10.0.0.1", "checking"),
            checkpoint("10.0.0.1", "checking", "skipped", "10.0.0.1 is not fit: disk"),
            checkpoint("10.0.0.2", "done", "finished"),
        ]
    )
    fleet.end(operation)
    shown = fleet.client.get(f"/api/v1/operations/{operation}").json()
    assert (shown["hosts"]["skipped"], shown["hosts"]["finished"]) == (1, 1)
    row = fleet.client.get(f"/api/v1/operations/{operation}/hosts").json()["items"][0]
    assert (row["state"], row["message"], row["finished_at"] is None) == ("skipped", "10.0.0.1 is not fit: disk", False)
    phases = fleet.client.get(f"/api/v1/operations/{operation}/timeline").json()["hosts"][0]["phases"]
    assert [(one["phase"], one["state"]) for one in phases] == [("waiting", "finished"), ("checking", "skipped")]
    client: Any = SimpleNamespace(get=lambda *request: SimpleNamespace(body=fleet.client.get(*request).json()))
    lines = list(explain(fetch(client, str(operation))))
    assert "  2 hosts: 1 skipped, 1 finished" in lines
    assert lines[lines.index("\nSkipped: 1 host") + 2] == "    10.0.0.1 is not fit: disk"
    assert fleet.client.get("/api/v0/host/10.0.0.1").json()["status"] == "active"
    v0 = fleet.client.get("/api/v0/cluster/web/restart").json()
    assert ([host["address"] for host in v0["restarted"]], v0["in_process"]) == (["10.0.0.2"], [])
    again = fleet.client.post(f"/api/v1/operations/{operation}/retry").json()["id"]
    hosts = fleet.client.get(f"/api/v1/operations/{again}/hosts").json()["items"]
    assert [host["address"] for host in hosts] == ["10.0.0.1"]


def test_a_host_that_stopped_the_others_stops_them_in_later_attempts_as_well(fleet: Fleet, tmp_path: Path) -> None:
    fleet.cluster("web", "10.0.0.1", "10.0.0.2")
    operation = fleet.restart()
    journal = fleet.claim()
    journal.write([checkpoint("10.0.0.1", "checking", "failed", "not fit", stops_others=True)])
    with fleet.services.database.write() as session:
        session.get_one(Operation, operation).parameters = {"max_failures": 2}
    plan = fleet.plan(operation, tmp_path)
    assert (plan.job, plan.message) == (None, "10.0.0.1 was not fit, which stops the others")


def test_a_host_that_was_half_way_and_failed_in_silence_keeps_its_place_in_later_attempts(
    fleet: Fleet, tmp_path: Path
) -> None:
    fleet.cluster("web", "10.0.0.1", "10.0.0.2")
    operation = fleet.restart()
    journal = fleet.claim()
    journal.write([checkpoint("10.0.0.1", "checking", "failed", "can't be reached", out_of_service=True)])
    with fleet.services.database.write() as session:
        session.get_one(Operation, operation).parameters = {"max_failures": 2}
    plan = fleet.plan(operation, tmp_path)
    assert (plan.job, plan.message) == (
        None,
        "hosts that failed are out of service and hold every place of max_unavailable",
    )


@pytest.mark.parametrize(("phase", "begun"), [("checking", False), ("rebooting", True), ("soaking", True)])
def test_a_host_that_was_interrupted_in_its_work_is_not_checked_before_it_again(
    fleet: Fleet, tmp_path: Path, phase: str, begun: bool
) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    fleet.cluster("web")
    fleet.host("10.0.0.1", cluster="web", ssh_priv_key=base64.b64encode(pem).decode())
    operation = fleet.restart()
    fleet.claim().write([checkpoint("10.0.0.1", phase)])
    job = fleet.plan(operation, tmp_path).job
    assert job is not None
    assert job.inventory["all"]["hosts"]["10.0.0.1"]["work_begun"] is begun
