"""The audit trail: who did what, from where, and what came of it."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from commissaire.clock import now
from commissaire.records.columns import UtcDateTime


class AuditEntry(SQLModel, table=True):
    """One request that changed something, or read a secret. `detail` is what `what`, method and path, does not say."""

    __tablename__ = "audit_entry"

    id: int | None = Field(default=None, primary_key=True)
    time: datetime = Field(default_factory=now, sa_type=UtcDateTime, index=True)
    who: str = ""
    role: str = ""
    what: str = ""
    detail: str = ""
    client: str = ""
    outcome: int = 0
    request_id: str = ""
