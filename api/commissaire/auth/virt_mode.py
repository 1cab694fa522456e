"""The modes of /virt: who sees and changes which virtual machines there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from commissaire.auth.role import Role

ANYONE = "(anyone)"
"""What the audit trail calls somebody who changed something without signing in."""


class VirtMode(StrEnum):
    """The modes, the least secure first."""

    INSECURE = "insecure"  # anyone sees and changes everything, and nobody signs in
    READ_ONLY = "read-only"  # anyone sees everything, and nobody signs in; nobody changes anything
    OWNER_SEES = "owner-sees"  # owners see their machines, administrators all; nobody changes anything
    OWNER_MODIFIES = "owner-modifies"  # the same, and operators change their machines, administrators all

    @property
    def open_paths(self) -> tuple[str, ...]:
        """The paths that everybody is let through to, with all below them."""
        return ("/virt",) if self in (VirtMode.INSECURE, VirtMode.READ_ONLY) else ()

    @property
    def changes(self) -> bool:
        """Whether anybody changes anything."""
        return self in (VirtMode.INSECURE, VirtMode.OWNER_MODIFIES)


@dataclass(frozen=True)
class Caller:
    """Who asks, in which mode. In the open modes nobody has a name or a role."""

    mode: VirtMode
    name: str
    role: Role | None

    @property
    def unlimited(self) -> bool:
        """Whether all machines are this caller's to see, whoever owns them."""
        return bool(self.mode.open_paths) or self.role is Role.ADMINISTRATOR

    def sees(self, owner: str) -> bool:
        """Tell whether machines of *owner*, "" for nobody, are shown."""
        return self.unlimited or (bool(owner) and owner == self.name)

    def changes(self, owner: str) -> bool:
        """Tell whether machines of *owner* may be changed."""
        may = self.role is None or self.role.may(Role.OPERATOR)
        return self.mode.changes and may and self.sees(owner)
