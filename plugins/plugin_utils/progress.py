# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The shape in which our actions say how far a host is: the key `checkpoint` of a task's result."""

from __future__ import annotations

from typing import Any


def checkpoint(
    phase: str, state: str = "running", message: str = "", data: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return what the API's journal records: `state` as the action checkpoint has it."""
    return {"phase": phase, "state": state, "message": message, "data": data or {}}
