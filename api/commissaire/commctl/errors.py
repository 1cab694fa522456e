"""What stops a command, each with the exit code it ends with."""

from __future__ import annotations

import json
from typing import Any


class CommctlError(Exception):
    """Something the user can act on; the message is shown as it is."""

    exit_code = 2


class NoServerError(CommctlError):
    """No endpoint could be reached, or the one that was gave no answer."""

    exit_code = 1


class RefusedError(CommctlError):
    """The server answered with an error status.

    *body* is the decoded RFC 9457 problem where there was one, else None; *reason* the status' phrase; *asker* says
    who asked, and where that comes from, for a refusal of the credentials.
    """

    def __init__(self, status: int, reason: str, body: Any = None, asker: str = "") -> None:
        self.status = status
        problem: dict[str, Any] = body if isinstance(body, dict) else {}
        self.detail = str(problem.get("detail") or "")
        lines = [f"{problem.get('title') or reason or 'Error'} ({status})"]
        if problem.get("detail"):
            lines.append(str(problem["detail"]))
        if asker and status in (401, 403):
            lines.append(asker)
        errors = problem.get("errors")
        lines += [f"- {_describe(error)}" for error in (errors if isinstance(errors, list) else [])]
        super().__init__("\n".join(lines))


class NoObjectError(RefusedError):
    """A GET found nothing (404)."""


def _describe(error: Any) -> str:
    if not isinstance(error, dict):
        return str(error)
    if "message" not in error:
        return json.dumps(error, ensure_ascii=False)
    return ": ".join(str(error[key]) for key in ("location", "message") if error.get(key))
