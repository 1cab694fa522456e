"""Journal entries from what Ansible tells of hosts, some of them hostile."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from commissaire.launcher.diff import LIMIT
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


def test_of_a_failure_the_message_and_what_the_command_said_are_kept() -> None:
    result = {"msg": "non-zero return code", "stderr": "no space", "exception": "(traceback unavailable)"}
    for said, kept in (
        (result, "non-zero return code\nno space"),
        ({**result, "stderr": ""}, "non-zero return code"),
        ({"exception": "Traceback"}, "Traceback"),
        ({"exception": "(traceback unavailable)"}, "failed without a message"),
    ):
        entry = entry_of(told(said, action="ansible.builtin.command", kind="failed"))
        assert (entry or {})["message"] == kept


def changed(result: dict[str, Any]) -> dict[str, Any]:
    entry = entry_of(told({"changed": True, **result}, action="ansible.builtin.copy"))
    assert entry is not None
    assert (entry["type"], entry["message"]) == ("task", "changed")
    data: dict[str, Any] = orjson.loads(orjson.dumps(entry["data"]))
    return data


FILE = {"before": "a\nb\n", "after": "a\nc\0\n", "before_header": "/etc/motd", "after_header": "new"}
FILE_DIFF = "--- before: /etc/motd\n+++ after: new\n@@ -1,2 +1,2 @@\n a\n-b\n+c"


@pytest.mark.parametrize(
    ("result", "kept"),
    [
        ({"diff": FILE}, FILE_DIFF),
        ({"diff": [FILE, {"before": {}, "after": {}}, None]}, FILE_DIFF),
        ({"results": [{"changed": True, "diff": FILE}, {"changed": False, "diff": FILE}, "x"]}, FILE_DIFF),
        ({"diff": {"prepared": "+ curl 8.0\n"}}, "+ curl 8.0"),
        ({"diff": {"after": {"mode": "0600"}}}, '--- before\n+++ after\n@@ -0,0 +1,3 @@\n+{\n+  "mode": "0600"\n+}'),
        ({"diff": {"dst_binary": 1, "src_binary": 1}}, "(a file that is binary or too large to be compared)"),
    ],
)
def test_what_a_task_of_a_dry_run_would_change_is_kept(result: dict[str, Any], kept: str) -> None:
    assert changed(result) == {"diff": kept}


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"diff": []},
        {"diff": "nonsense"},
        {"diff": {"before": "a", "after": "a"}},
        {"diff": FILE, "_ansible_no_log": True},
        {"diff": FILE, "censored": "hidden"},
        {"results": [{"changed": True, "diff": FILE, "_ansible_no_log": True}]},
        {"results": [{"changed": True, "diff": FILE}], "censored": "hidden"},
    ],
)
def test_no_diff_is_kept_where_there_is_none_or_nobody_may_see_it(result: dict[str, Any]) -> None:
    assert changed(result) == {}


def test_a_diff_without_bottom_breaks_nothing() -> None:
    deep: Any = {}
    for _ in range(900):
        deep = {"results": [deep], "changed": True, "diff": {"after": deep}}
    assert isinstance(changed(deep), dict)


def test_a_diff_without_end_is_cut_off_soon() -> None:
    endless = {"before": "a\nb\n" * 10**6, "after": "b\na\n" * 10**6}
    begin = time.process_time()
    (diff,) = changed({"diff": [endless] * 1000}).values()
    assert (len(diff) < 2 * LIMIT, diff.endswith("\n(cut off here)")) == (True, True)
    assert time.process_time() - begin < 20


def test_data_without_end_is_not_kept() -> None:
    entry = entry_of(told(checkpoint(packages=["x" * 100] * (DATA_LIMIT_BYTES // 100))))
    assert entry is not None
    assert (entry["state"], entry["data"]) == ("finished", {})
