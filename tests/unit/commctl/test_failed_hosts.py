"""Failed hosts: why they failed, and trying them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from unit.commctl.conftest import Run
    from unit.commctl.server import ScriptedServer

FAILED = {"address": "a", "status": "failed"}
V0 = {"get": ("/api/v0/host/a", FAILED), "status": ("/api/v0/host/a/status", {"type": "host_only", "host": FAILED})}


@pytest.mark.parametrize("command", V0)
@pytest.mark.parametrize(
    ("record", "said"), [({"message": "no sshd"}, "a failed: no sshd\n"), ({"message": ""}, ""), (None, "")]
)
def test_the_reason_is_told_where_there_is_one(
    commctl: Run, server: ScriptedServer, command: str, record: Any, said: str
) -> None:
    server.answer("GET", V0[command][0], 200, V0[command][1])
    if record:
        server.answer("GET", "/api/v1/hosts/a", 200, record)
    result = commctl("host", command, "a")
    assert (result.code, result.err) == (0, said)
    assert "status: failed" in result.out


def test_a_list_tells_how_many_failed(commctl: Run, server: ScriptedServer) -> None:
    server.answer("GET", "/api/v0/hosts", 200, [FAILED, {"address": "b", "status": "active"}])
    assert commctl("host", "list").err == "1 of 2 hosts failed; commctl host get ADDRESS tells why\n"


def test_accept_key_leads_on_to_bootstrap(commctl: Run, server: ScriptedServer) -> None:
    server.answer("PUT", "/api/v1/hosts/a/host-key", 200, FAILED)
    said = "a is still failed; try it again: commctl host bootstrap --wait a\n"
    assert commctl("host", "accept-key", "a").err == said


def test_bootstrap_asks_for_each_host_and_goes_on_past_a_refusal(commctl: Run, server: ScriptedServer) -> None:
    for address in "ac":
        server.answer("POST", f"/api/v1/hosts/{address}/bootstrap", 201, {"id": "7"})
    result = commctl("host", "bootstrap", "a", "b", "c", "-o", "table")
    assert result.code == 2
    assert result.out.splitlines() == ["ADDRESS  OPERATION", "a        7", "c        7"]
    assert result.err == "b: Not Found (404)\nthere is nothing at /api/v1/hosts/b/bootstrap\n"
    assert [request.json for request in server.requests] == [{}, {}, {}]


@pytest.mark.parametrize(("end", "code"), [("active", 0), ("failed", 2)])
def test_bootstrap_waits_for_all_hosts(
    commctl: Run, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, end: str, code: int
) -> None:
    monkeypatch.setattr("commissaire.commctl.arrival.POLL_SECONDS", 0.01)
    for address, statuses in (("a", (end,)), ("b", ("investigating", "active"))):
        server.answer("POST", f"/api/v1/hosts/{address}/bootstrap", 201, {"id": "7"})
        for status in statuses:
            server.answer("GET", f"/api/v1/hosts/{address}", 200, {"address": address, "status": status})
    result = commctl("host", "bootstrap", "--wait", "a", "b")
    assert (result.code, result.err) == (code, "")
    assert [line.split()[1:] for line in result.out.splitlines()] == [
        ["a", end],
        ["b", "investigating"],
        ["b", "active"],
    ]
