"""Journal entries from ansible-runner's events: what a reader of the record needs, and no more.

Of a result only the message, the checkpoint, a dry run's diff and what a failed command said are kept: never its
invocation, so never an argument, and never a value behind `no_log`. What is kept may come from a hostile host: it must
break neither the pipe nor a database, and no host says how far it is; that is for the tasks of our own collection,
which run on this side.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from commissaire.event_type import EventType
from commissaire.launcher.diff import diff_text

MESSAGE_LIMIT = 4000
DATA_LIMIT_BYTES = 1 << 20
_LARGEST_NUMBER = 2**63 - 1
_OURS = "commissaire.fleet."
_NO_TRACEBACK = "(traceback unavailable)"  # what Ansible says for want of one
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_FAILURES = {
    "runner_on_failed": EventType.FAILED,
    "runner_item_on_failed": EventType.FAILED,
    "runner_on_unreachable": EventType.UNREACHABLE,
}


def entry_of(event: dict[str, Any]) -> dict[str, Any] | None:
    """Make the journal entry of one runner event; None when nobody needs it.

    Returns:
        `{"type", "time", "host", "phase", "task", "message", "data", "state"}` for what happens on hosts,
        `{"type": "stats", "failed": [host], "unreachable": [host]}` at the end of the playbook.
    """
    kind = event.get("event", "")
    data = event.get("event_data") or {}
    if kind == "playbook_on_stats":
        return {
            "type": "stats",
            "failed": sorted(data.get("failures", {})),
            "unreachable": sorted(data.get("dark", {})),
        }
    if kind in ("verbose", "warning", "error", "deprecated", "system_warning"):
        text = _ANSI.sub("", event.get("stdout", "")).strip()
        return _entry(event, EventType.WARNING, text) if text else None
    result = data.get("res")
    if not isinstance(result, dict):
        return None
    if isinstance(result.get("checkpoint"), dict) and str(data.get("resolved_action")).startswith(_OURS):
        return _checkpoint(event, result["checkpoint"])
    if kind in _FAILURES:
        return None if data.get("ignore_errors") else _entry(event, _FAILURES[kind], _failure(result))
    if kind == "runner_on_ok" and result.get("changed"):
        return _changed(event, result)
    return None


def _entry(event: dict[str, Any], kind: EventType, message: str) -> dict[str, Any]:
    data = event.get("event_data") or {}
    return {
        "type": kind,
        "time": event.get("created"),
        "host": data.get("host"),
        "phase": None,
        "task": data.get("task"),
        "message": _text(message)[:MESSAGE_LIMIT],
        "data": {},
        "state": None,
    }


def _changed(event: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    entry = _entry(event, EventType.TASK, "changed")
    diff = _ANSI.sub("", _text(diff_text(result)))
    return {**entry, "data": {"diff": diff}} if diff else entry


def _checkpoint(event: dict[str, Any], checkpoint: dict[str, Any]) -> dict[str, Any]:
    entry = _entry(event, EventType.CHECKPOINT, str(checkpoint.get("message") or ""))
    entry["phase"] = str(checkpoint.get("phase") or "")
    entry["state"] = checkpoint.get("state") or "running"
    data = _storable(checkpoint.get("data") or {})
    entry["data"] = data if len(orjson.dumps(data)) <= DATA_LIMIT_BYTES else {}
    return entry


def _storable(value: Any) -> Any:
    """Return *value* as JSON and every database take it."""
    if isinstance(value, dict):
        return {_text(str(key)): _storable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(one) for one in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return max(-_LARGEST_NUMBER, min(value, _LARGEST_NUMBER))
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\0", "")


def _failure(result: dict[str, Any]) -> str:
    parts = [str(result[key]).strip() for key in ("msg", "stderr", "module_stderr", "exception") if result.get(key)]
    unique = [part for index, part in enumerate(parts) if part not in ("", _NO_TRACEBACK, *parts[:index])]
    return _ANSI.sub("", "\n".join(unique[:2])) or "failed without a message"
