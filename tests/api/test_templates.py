"""Nothing that a request, a record or a user's name says reaches Ansible as a template, which is code on the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api.conftest import Fleet, private_key
from commissaire.fleet.plain_text import holds_template
from commissaire.launcher.plan import Plan, make_plan
from commissaire.records import Operation

TEMPLATES = ["{{ lookup('pipe', 'id') }}", "a {% if x %}", "{# x", "#jinja2: variable_start_string: '[['"]
BREAK = {"kind": "lease_break", "cluster": "web", "parameters": {"reason": "its controller is gone"}}


@pytest.fixture
def web(fleet: Fleet) -> Fleet:
    """A cluster of a host with a key that ssh could use."""
    fleet.cluster("web")
    fleet.host("10.0.0.1", cluster="web", ssh_priv_key=private_key())
    return fleet


def ask(fleet: Fleet, body: dict[str, Any]) -> int:
    answer = fleet.client.post("/api/v1/operations", json=body)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def planned(fleet: Fleet, operation: int, folder: Path, **fields: Any) -> Plan:
    """Plan an operation whose record has other fields than a request can give it."""
    with fleet.services.database.write() as session:
        record = session.get_one(Operation, operation)
        for name, value in fields.items():
            setattr(record, name, value)
        session.add(record)
        session.flush()
        return make_plan(session, fleet.services.secrets, record, folder, folder)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_reason_is_no_template(web: Fleet, template: str) -> None:
    blackout = {"from": "2026-12-24T18:00:00Z", "to": "2026-12-26T18:00:00Z", "reason": template}
    for body in (
        {**BREAK, "parameters": {"reason": template}},
        {"kind": "restart", "cluster": "web", "parameters": {"blackouts": [blackout]}},
    ):
        assert web.client.post("/api/v1/operations", json=body).status_code == 400


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("body", [BREAK, {"kind": "restart", "cluster": "web"}])
def test_a_users_name_is_no_template(web: Fleet, tmp_path: Path, body: dict[str, Any], template: str) -> None:
    job = planned(web, ask(web, body), tmp_path, requested_by=template).job
    assert job is not None
    assert not holds_template(job.extra_vars["lease_owner"])


def test_what_came_into_a_record_all_the_same_is_not_run(web: Fleet, tmp_path: Path) -> None:
    operation = ask(web, BREAK)
    plan = planned(web, operation, tmp_path, parameters={"reason": TEMPLATES[0]})
    assert (plan.job, plan.message.partition(",")[0]) == (None, "its parameters hold a template")
    web.set("10.0.0.1", remote_user="{{ x }}")
    plan = planned(web, operation, tmp_path, parameters=BREAK["parameters"])
    assert (plan.job, list(plan.unusable)) == (None, ["10.0.0.1"])


@pytest.mark.parametrize("value", [*TEMPLATES, {"a": ["b", {"c": "{{"}]}, {"{{ a }}": 1}, {"a": "x\n{% y"}])
def test_a_template_is_found_wherever_it_is(value: Any) -> None:
    assert holds_template(value)


@pytest.mark.parametrize("value", ["", "{a}", "# x", "a #jinja2: x", {"a": [1, None, True, "}} {"]}])
def test_no_template_is_found_where_none_is(value: Any) -> None:
    assert not holds_template(value)
