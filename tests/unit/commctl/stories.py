"""An operation that was interrupted once, paused once, and failed on one host: the server's answers about it."""

from __future__ import annotations

from typing import Any

from unit.commctl.server import ScriptedServer


def at(second: float) -> str:
    return f"2026-11-21T09:{int(second) // 60:02}:{second % 60:09.6f}Z"


def phase(name: str, began: float, ended: float | None, state: str = "finished", **more: Any) -> dict[str, Any]:
    ended_at = None if ended is None else at(ended)
    return {
        "phase": name, "state": state, "began_at": at(began), "ended_at": ended_at, "attempt": 1, "message": "", **more,
    }  # fmt: skip


def host(address: str, state: str, *phases: dict[str, Any], message: str = "") -> dict[str, Any]:
    return {"address": address, "state": state, "message": message, "phases": list(phases)}


def failure(seq: int, address: str, second: float, task: str, message: str) -> dict[str, Any]:
    return {
        "seq": seq, "time": at(second), "type": "failed", "host": address, "phase": None, "task": task,
        "message": message, "data": {},
    }  # fmt: skip


def operation(**more: Any) -> dict[str, Any]:
    return {
        "id": 7, "kind": "upgrade", "cluster": "web", "state": "failed", "message": "10.0.0.2: upgrading: no space",
        "parameters": {}, "requested_by": "admin", "created_at": at(0), "started_at": at(1), "finished_at": at(100),
        "attempt": 2, "dry_run": False, "retry_of": None, "halt": None, "not_before": None,
        "hosts": {"total": 3, "finished": 1, "failed": 1, "not_started": 1}, **more,
    }  # fmt: skip


EVENTS = [
    {"time": at(0), "state": "queued", "attempt": 0, "message": "upgrade asked for by admin"},
    {"time": at(1), "state": "running", "attempt": 1, "message": "running"},
    {"time": at(30), "state": "queued", "attempt": 1, "message": "its server vanished; it goes on where it was"},
    {"time": at(40), "state": "running", "attempt": 2, "message": "resumed, attempt 2"},
    {"time": at(100), "state": "failed", "attempt": 2, "message": "10.0.0.2: upgrading: no space"},
]
HOSTS = [
    host(
        "10.0.0.1", "finished",
        phase("waiting", 1, 2), phase("checking", 2, 4), phase("upgrading", 4, 30, "interrupted"),
        phase("waiting", 40, 41, attempt=2), phase("upgrading", 41, 60, attempt=2),
        phase("rebooting", 60, 70, attempt=2), message="12 packages changed",
    ),
    host(
        "10.0.0.2", "failed",
        phase("waiting", 1, 30, "pending"), phase("waiting", 40, 70, attempt=2), phase("checking", 70, 72, attempt=2),
        phase("upgrading", 72, 100, "failed", attempt=2, message="upgrading: no space"), message="upgrading: no space",
    ),
    host(
        "10.0.0.3", "not_started", phase("waiting", 40, 100, "not_started", attempt=2),
        message="not started: 10.0.0.2 failed",
    ),
]  # fmt: skip
DATA = {
    "10.0.0.1": {
        "packages_changed": 12,
        "packages": [{"name": f"package-{n}", "before": "1.0", "after": "1.1"} for n in range(10)]
        + [{"name": "brand-new", "before": None, "after": "3"}, {"name": "gone", "before": "2", "after": None}],
        "reboot_seconds": 9.5,
    }
}
FAILURES = [
    failure(50, "10.0.0.2", 99, "Upgrade", "E: You don't have enough free space\nin /var/cache/apt/archives/"),
    failure(51, "10.0.0.2", 100, "Fail", "upgrading: no space"),
]
TIMELINE = {"operation": operation(), "as_of": at(120), "events": EVENTS, "hosts": HOSTS}


def script(
    server: ScriptedServer,
    timeline: dict[str, Any] = TIMELINE,
    data: dict[str, dict[str, Any]] = DATA,
    failures: list[dict[str, Any]] = FAILURES,
) -> None:
    """Let the server tell of operation 7; its failures come on pages of one."""
    rows = []
    for one in timeline["hosts"]:
        begun = next((span for span in one["phases"] if span["phase"] != "waiting"), None)
        ended = one["phases"][-1]["ended_at"] if one["phases"] else None
        rows.append(
            {
                "address": one["address"], "state": one["state"], "message": one["message"],
                "phase": one["phases"][-1]["phase"] if begun else "", "started_at": begun and begun["began_at"],
                "finished_at": ended if begun else None, "data": data.get(one["address"], {}),
            }
        )  # fmt: skip
    path = "/api/v1/operations/7"
    server.answer("GET", f"{path}/timeline", 200, timeline)
    server.answer("GET", f"{path}/hosts", 200, {"items": rows})
    for event in failures:
        server.answer("GET", f"{path}/events", 200, {"items": [event], "next": event["seq"]})
    server.answer("GET", f"{path}/events", 200, {"items": [], "next": None})
