"""All that is known of an operation, put together from the server's answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from commissaire.commctl.progress import seconds
from commissaire.commctl.times import unix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from commissaire.commctl.client import Client

PAGE = 1000
_WITH_OUTPUT = ("failed", "cancelled")


def fetch(client: Client, operation: str) -> dict[str, Any]:
    """Return the operation as the server shows it, and besides

    - `counts`: its hosts by state; `as_of`: the server's time; `events`: what happened to the operation itself
    - `hosts`: of each the `address`, `state`, `phase`, `message`, `seconds`, its `phases` (as the timeline has them),
      the `data` of its last report, `failures`: `{time, type, task, message}` of each task that failed there and
      said something else than `message`, and
      `diffs`: `{time, task, diff}` of each task of a dry run that told what it would change.

    Raises NoObjectError when there is none.
    """
    path = f"/api/v1/operations/{operation}"
    timeline: dict[str, Any] = client.get(f"{path}/timeline").body
    rows = {row["address"]: row for row in client.get(f"{path}/hosts").body["items"]}
    told = timeline["hosts"]
    failures = _failures(client, path) if any(host["state"] in _WITH_OUTPUT for host in told) else {}
    diffs = _diffs(client, path) if timeline["operation"]["dry_run"] else {}
    now = unix(timeline["as_of"])
    hosts = []
    for host in told:
        row = rows.get(host["address"], {})
        took = seconds(row, now)
        hosts.append(
            {
                "address": host["address"],
                "state": host["state"],
                "phase": row.get("phase", ""),
                "message": host["message"],
                "seconds": None if took is None else round(took, 1),
                "phases": host["phases"],
                "data": row.get("data") or {},
                "failures": [one for one in failures.get(host["address"], []) if one["message"] != host["message"]],
                "diffs": diffs.get(host["address"], []),
            }
        )
    record = timeline["operation"]
    return {
        **record,
        "counts": record["hosts"],
        "as_of": timeline["as_of"],
        "events": timeline["events"],
        "hosts": hosts,
    }


def outcome(data: dict[str, Any]) -> list[str]:
    """Say in sentences what the last report of a host tells of; its changed packages are for `packages`."""
    told = []
    if data.get("packages_changed"):
        told.append(f"{data['packages_changed']} packages changed")
    if data.get("deployment_after"):
        before, after = (_deployment(data.get(f"deployment_{when}")) for when in ("before", "after"))
        told.append(f"deployment {before} -> {after}" if before != after else f"deployment {after}, as before")
    if data.get("reboot_seconds") is not None:
        told.append(f"rebooted in {data['reboot_seconds']} s")
    if data.get("reboot_needed"):
        told.append("needs a reboot")
    if data.get("unfinished"):
        told.append(f"found unfinished: {data['unfinished']}")
    return told


def packages(data: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the name of each package that changed, and what became of it: "1.0 -> 1.1"."""
    changed = data.get("packages")
    return [
        (str(one.get("name")), _change(one.get("before"), one.get("after")))
        for one in (changed if isinstance(changed, list) else [])
        if isinstance(one, dict)
    ]


def _change(before: Any, after: Any) -> str:
    if not before:
        return f"new: {after}"
    return f"{before} -> {after}" if after else f"removed: {before}"


def _deployment(deployment: Any) -> str:
    if isinstance(deployment, dict):
        return str(deployment.get("version") or deployment.get("checksum") or "none")
    return str(deployment or "none")


def _failures(client: Client, path: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for event in _events(client, path, "failed", "unreachable"):
        failure = {key: event[key] for key in ("time", "type", "task", "message")}
        found.setdefault(event["host"] or "", []).append(failure)
    return found


def _diffs(client: Client, path: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for event in _events(client, path, "task"):
        if event["data"].get("diff"):
            diff = {"time": event["time"], "task": event["task"], "diff": event["data"]["diff"]}
            found.setdefault(event["host"] or "", []).append(diff)
    return found


def _events(client: Client, path: str, *types: str) -> Iterator[dict[str, Any]]:
    after = 0
    while after is not None:
        page = client.get(f"{path}/events", {"type": list(types), "limit": PAGE, "after": after}).body
        yield from page["items"]
        after = page["next"]
