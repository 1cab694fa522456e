"""The bodies of REST v1's sources."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from commissaire.clock import rfc3339
from commissaire.records import HostStatus, Source


class SourceShown(BaseModel):
    """A configured source."""

    name: str
    inventory: str = Field(description="Ansible's inventory source: a file, a script or a plugin's configuration.")
    state: Literal["unknown", "ok", "failing"] = Field(description="How its last listing ended.")
    error: str = Field(description="Why it failed; empty when it did not.")
    tried_at: str | None
    listed_at: str | None = Field(description="When it was listed last; what it told then is what is shown.")
    hosts: int = Field(description="Hosts that it listed.")
    recorded: int = Field(description="Hosts here that name it.")
    missing: int = Field(description="Of these, those that it does not list.")

    @classmethod
    def of(cls, source: Source, inventory: str, recorded: int, missing: int) -> SourceShown:
        """Show a record."""
        state: Literal["unknown", "ok", "failing"] = (
            "failing" if source.error else "ok" if source.tried_at else "unknown"
        )
        return cls(
            name=source.name,
            inventory=inventory,
            state=state,
            error=source.error,
            tried_at=rfc3339(source.tried_at),
            listed_at=rfc3339(source.listed_at),
            hosts=source.number_of_hosts,
            recorded=recorded,
            missing=missing,
        )


class SourceList(BaseModel):
    """The configured sources, by name."""

    items: list[SourceShown]


class SourceHostShown(BaseModel):
    """A host as its source tells of it."""

    name: str
    address: str | None = Field(description="Null when what the source tells is no address.")
    os: str
    cpus: int
    memory_kb: int
    space_bytes: int
    status: HostStatus | None = Field(description="Its status here; null when it is not recorded.")
    owned: bool = Field(description="Whether its record here names this source.")

    @classmethod
    def of(cls, told: dict[str, Any], recorded: dict[str, tuple[str, str]], source: str) -> SourceHostShown:
        """Show what was listed; *recorded* are the status and the source of recorded hosts, by address."""
        status, owner = recorded.get(told["address"] or "") or recorded.get(told["name"].lower()) or (None, None)
        return cls(**told, status=HostStatus(status) if status else None, owned=owner == source)


class SourceHostList(BaseModel):
    """The hosts of a source, by name."""

    items: list[SourceHostShown]
