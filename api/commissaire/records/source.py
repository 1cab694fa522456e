"""Sources: external providers that own what is known of some hosts (CPD-61)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel

from commissaire.records.columns import JsonObject, UtcDateTime


class Source(SQLModel, table=True):
    """A configured provider as it was last listed. `error` is empty when the last try succeeded."""

    name: str = Field(primary_key=True, max_length=64)
    error: str = ""
    tried_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    listed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    due_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    number_of_hosts: int = 0
    hosts: list[dict[str, Any]] = Field(default_factory=list, sa_type=JsonObject)
