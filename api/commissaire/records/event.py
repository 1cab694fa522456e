"""Events: the journal of an operation, in the order things happened."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Integer
from sqlmodel import Field, SQLModel

from commissaire.event_type import EventType
from commissaire.records.columns import JsonObject, UtcDateTime


class Event(SQLModel, table=True):
    """One line of the journal; `seq` grows over all operations."""

    seq: int | None = Field(
        default=None,
        primary_key=True,
        sa_type=BigInteger().with_variant(Integer(), "sqlite"),
    )
    operation_id: int = Field(foreign_key="operation.id", ondelete="CASCADE", index=True)
    time: datetime = Field(sa_type=UtcDateTime)
    type: str = Field(max_length=16)
    host: str | None = Field(default=None, max_length=253)
    phase: str | None = Field(default=None, max_length=64)
    task: str | None = None
    message: str = ""
    data: dict[str, Any] = Field(default_factory=dict, sa_type=JsonObject)


__all__ = ["Event", "EventType"]
