"""Roles: what somebody who signed in may do."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

READING = ("GET", "HEAD", "OPTIONS")


class Role(StrEnum):
    """The roles, the mightiest first."""

    ADMINISTRATOR = "administrator"  # everything
    OPERATOR = "operator"  # reads, and runs operations
    VIEWER = "viewer"  # reads, but no credentials and no secrets
    REGISTRAR = "registrar"  # records hosts, and nothing else: for machines that register themselves

    def may(self, needed: Role) -> bool:
        """Tell whether this role is enough where *needed* is the least one."""
        return needed in _INCLUDED[self]

    @classmethod
    def mightiest(cls, roles: set[Role]) -> Role | None:
        """Return the mightiest of *roles*, None when there are none."""
        return next((role for role in cls if role in roles), None)


_INCLUDED = {
    Role.ADMINISTRATOR: frozenset(Role),
    Role.OPERATOR: frozenset({Role.OPERATOR, Role.VIEWER}),
    Role.VIEWER: frozenset({Role.VIEWER}),
    Role.REGISTRAR: frozenset({Role.REGISTRAR}),
}


def least_role(method: str, extra: Mapping[str, Any] | None) -> Role:
    """Return the least role for a route: its mark `x-role`, else a viewer reads and an administrator changes."""
    mark = (extra or {}).get("x-role")
    if mark is not None:
        return Role(mark)
    return Role.VIEWER if method.upper() in READING else Role.ADMINISTRATOR
