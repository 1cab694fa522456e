"""The `Idempotency-Key` headers of requests for operations."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from commissaire.clock import now
from commissaire.records.columns import UtcDateTime


class IdempotencyKey(SQLModel, table=True):
    """What a requester got for a key. `digest` tells whether the same is asked for again."""

    __tablename__ = "idempotency_key"

    requested_by: str = Field(primary_key=True)
    key: str = Field(primary_key=True, max_length=255)
    digest: str
    operation_id: int = Field(foreign_key="operation.id", ondelete="CASCADE", index=True)
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
