"""REST v1: the timeline of an operation, and the journal in parts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from api.conftest import Fleet, checkpoint
from commissaire.commctl.explain import explain
from commissaire.commctl.gantt import chart
from commissaire.commctl.report import report
from commissaire.commctl.story import fetch


def failure(host: str, message: str, kind: str = "failed") -> dict[str, object]:
    return {**checkpoint(host, "", "", message), "type": kind, "phase": None, "task": "Reboot", "state": None}


def failed(fleet: Fleet) -> int:
    """Run a restart of two hosts, one of which fails; return its id."""
    fleet.cluster("web", "10.0.0.1", "10.0.0.2", "10.0.0.3")
    operation = fleet.restart()
    fleet.claim().write(
        [
            checkpoint("10.0.0.1", "checking"),
            checkpoint("10.0.0.1", "done", "finished"),
            checkpoint("10.0.0.2", "rebooting"),
            failure("10.0.0.2", "no <b>route</b>\nto host", "unreachable"),
            checkpoint("10.0.0.2", "rebooting", "failed", "rebooting: no route", packages=["x" * 1000]),
        ]
    )
    fleet.end(operation, message="1 failed")
    return operation


def test_a_timeline_tells_of_the_operation_and_of_each_host(fleet: Fleet) -> None:
    path = f"/api/v1/operations/{failed(fleet)}"
    answer = fleet.client.get(f"{path}/timeline")
    assert answer.status_code == 200
    timeline = answer.json()
    assert timeline["operation"] == fleet.client.get(path).json()
    assert [(event["state"], event["attempt"], event["message"]) for event in timeline["events"]] == [
        ("queued", 0, "restart asked for by admin"),
        ("running", 1, "running"),
        ("finished", 1, "1 failed"),
    ]
    assert [(host["address"], host["state"], host["message"]) for host in timeline["hosts"]] == [
        ("10.0.0.1", "finished", ""),
        ("10.0.0.2", "failed", "rebooting: no route"),
        ("10.0.0.3", "not_started", "the operation was finished before its turn"),
    ]
    phases = [[(one["phase"], one["state"]) for one in host["phases"]] for host in timeline["hosts"]]
    assert phases == [
        [("waiting", "finished"), ("checking", "finished")],
        [("waiting", "finished"), ("rebooting", "failed")],
        [("waiting", "not_started")],
    ]
    last = timeline["hosts"][1]["phases"][1]
    assert last["message"] == "rebooting: no route"
    assert last["began_at"] <= last["ended_at"] <= timeline["as_of"]
    assert "x" * 1000 not in answer.text, "the data of reports stays out of it"


def test_there_is_no_timeline_of_nothing(fleet: Fleet) -> None:
    assert fleet.client.get("/api/v1/operations/999/timeline").status_code == 404


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("type=unreachable", [("unreachable", "10.0.0.2")]),
        (
            "type=unreachable&type=operation",
            [("operation", None)] * 2 + [("unreachable", "10.0.0.2"), ("operation", None)],
        ),
        ("host=10.0.0.1", [("checkpoint", "10.0.0.1")] * 2),
        ("host=10.0.0.1&type=failed", []),
    ],
)
def test_the_journal_can_be_read_in_parts(fleet: Fleet, query: str, expected: list[tuple[str, str | None]]) -> None:
    events = fleet.client.get(f"/api/v1/operations/{failed(fleet)}/events?{query}").json()["items"]
    assert [(event["type"], event["host"]) for event in events] == expected


def test_a_part_of_the_journal_has_pages(fleet: Fleet) -> None:
    path = f"/api/v1/operations/{failed(fleet)}/events?type=operation&limit=2"
    first = fleet.client.get(path).json()
    assert [event["data"]["state"] for event in first["items"]] == ["queued", "running"]
    rest = fleet.client.get(f"{path}&after={first['next']}").json()
    assert ([event["data"]["state"] for event in rest["items"]], rest["next"]) == (["finished"], None)


def test_a_type_that_is_none_is_refused(fleet: Fleet) -> None:
    assert fleet.client.get(f"/api/v1/operations/{failed(fleet)}/events?type=gossip").status_code == 400


def test_commctl_understands_what_the_server_tells(fleet: Fleet) -> None:
    operation = failed(fleet)

    def get(path: str, params: dict[str, Any] | None = None) -> SimpleNamespace:
        answer = fleet.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return SimpleNamespace(body=answer.json())

    story = fetch(SimpleNamespace(get=get), str(operation))  # type: ignore[arg-type]
    text = "\n".join(explain(story))
    assert "3 hosts: 1 failed, 1 finished, 1 not started" in text
    assert "unreachable: Reboot\n      | no <b>route</b>\n      | to host" in text
    assert "no &lt;b&gt;route&lt;/b&gt;\nto host" in report(story)
    timeline = get(f"/api/v1/operations/{operation}/timeline").body
    assert "10.0.0.2" in "\n".join(line.plain for line in chart(timeline, 80))
