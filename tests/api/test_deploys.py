"""What is particular about the record of a deploy: hosts that are staged, and hosts that were rolled back."""

from __future__ import annotations

import pytest
from sqlmodel import select

from api.conftest import Fleet, checkpoint
from commissaire.fleet.limits import Limits
from commissaire.launcher.kinds import KINDS
from commissaire.launcher.plan import limits_left
from commissaire.records import Operation, OperationHost

HOSTS = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def deploy(fleet: Fleet, **body: object) -> int:
    fleet.cluster("web", *HOSTS)
    answer = fleet.client.put("/api/v0/cluster/web/deploy", json={"version": "7.2.6", **body})
    assert answer.status_code == 201, answer.text
    return int(answer.headers["Location"].rpartition("/")[2])


def test_a_host_that_is_staged_waits_for_its_turn_and_for_no_later_run(fleet: Fleet) -> None:
    operation = deploy(fleet)
    journal = fleet.claim("deploy")
    journal.write([checkpoint(HOSTS[0], "staging"), checkpoint(HOSTS[0], "staging", "pending", "staged 7.2.6")])
    row = fleet.client.get(f"/api/v1/operations/{operation}/hosts").json()["items"][0]
    assert (row["state"], row["phase"], row["message"]) == ("pending", "staging", "staged 7.2.6")
    assert journal.held_back() == ""
    journal.write([checkpoint(HOSTS[0], "waiting", "pending", "paused: lunch")])
    assert journal.held_back() == "paused: lunch"
    journal.write([checkpoint(HOSTS[0], "staging", "pending", "staged 7.2.6")])
    assert journal.end("", cancelled=False)["not_started"] == 3


@pytest.mark.parametrize(
    ("phase", "left"), [("staging", (2, 1)), ("rolled_back", (2, 1)), ("rolling_back", (1, 1)), ("verifying", (1, 1))]
)
def test_only_a_host_that_was_not_brought_back_keeps_its_place_in_a_later_attempt(
    fleet: Fleet, phase: str, left: tuple[int, int]
) -> None:
    number = deploy(fleet, max_unavailable=2, max_failures=2)
    fleet.claim("deploy").write([checkpoint(HOSTS[1], phase, "failed", f"{phase}: it did not serve")])
    with fleet.services.database.read() as session:
        hosts = session.exec(select(OperationHost).where(OperationHost.operation_id == number)).all()
        assert limits_left(session.get_one(Operation, number), list(hosts)) == Limits(*left)


def test_a_deploy_has_forks_for_its_staging() -> None:
    def forks(kind: str, window: int, **parameters: int) -> int:
        return KINDS[kind].forks(Operation(kind=kind, parameters=parameters), Limits(window, 0))

    assert [forks("restart", 1), forks("deploy", 1), forks("deploy", 20)] == [2, 10, 21]
    assert [forks("deploy", 1, stage_at_once=3), forks("deploy", 90, stage_at_once=30)] == [3, 50]


@pytest.mark.parametrize(
    "wrong",
    [{"rollback": "yes"}, {"stage_at_once": 0}, {"version": "a b"}],
)
def test_what_can_not_be_meant_is_refused_by_name(fleet: Fleet, wrong: dict[str, object]) -> None:
    fleet.cluster("web", *HOSTS)
    body = {"kind": "deploy", "cluster": "web", "parameters": {"version": "7.2.6", **wrong}}
    answer = fleet.client.post("/api/v1/operations", json=body)
    assert answer.status_code == 400
    assert next(iter(wrong)) in answer.text
