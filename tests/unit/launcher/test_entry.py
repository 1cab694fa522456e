"""Journal entries from what Ansible tells of hosts, some of them hostile."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from commissaire.launcher.entry import DATA_LIMIT_BYTES, entry_of


def told(result: dict[str, Any], action: str = "commissaire.fleet.checkpoint", kind: str = "ok") -> dict[str, Any]:
    data = {"host": "10.0.0.1", "task": "Report", "resolved_action": action, "res": result}
    return {"event": f"runner_on_{kind}", "created": "2026-01-01T00:00:00+00:00", "event_data": data}


def checkpoint(**data: Any) -> dict[str, Any]:
    return {"checkpoint": {"phase": "done", "state": "finished", "message": "", "data": data}}


def test_a_checkpoint_of_ours_says_how_far_a_host_is() -> None:
    entry = entry_of(told(checkpoint(facts={"os": "debian", "cpus": 2, "atomic": False, "python": None})))
    assert entry is not None
    assert (entry["type"], entry["phase"], entry["state"]) == ("checkpoint", "done", "finished")
    assert entry["data"] == {"facts": {"os": "debian", "cpus": 2, "atomic": False, "python": None}}


def test_a_host_can_not_say_by_a_modules_result_how_far_it_is() -> None:
    forged = {"changed": True, "checkpoint": {"phase": "done", "state": "nonsense", "data": []}}
    entry = entry_of(told(forged, action="ansible.builtin.ping"))
    assert entry is not None
    assert (entry["type"], entry["state"], entry["data"]) == ("task", None, {})


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (10**30, 2**63 - 1),
        (-(10**30), -(2**63 - 1)),
        ("caf\udce9 \0", "caf? "),
        (["\ud800"], ["?"]),
        ({"\ud800": 1}, {"?": 1}),
        (True, True),
    ],
)
def test_what_a_host_says_goes_through_the_pipe_and_into_every_database(value: Any, kept: Any) -> None:
    entry = entry_of(told(checkpoint(facts=value)))
    assert orjson.loads(orjson.dumps(entry))["data"] == {"facts": kept}


def test_the_words_of_a_host_go_through_the_pipe() -> None:
    entry = entry_of(told({"msg": "caf\udce9 \0!"}, action="ansible.builtin.command", kind="failed"))
    assert orjson.loads(orjson.dumps(entry))["message"] == "caf? !"


def test_data_without_end_is_not_kept() -> None:
    entry = entry_of(told(checkpoint(packages=["x" * 100] * (DATA_LIMIT_BYTES // 100))))
    assert entry is not None
    assert (entry["state"], entry["data"]) == ("finished", {})
