"""Schedules: operations that are asked for again and again."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlmodel import Field, SQLModel

from commissaire.clock import now
from commissaire.records.columns import JsonObject, UtcDateTime


class ScheduleOutcome(StrEnum):
    """What came of a time at which an operation was due."""

    STARTED = "started"  # it was asked for
    SKIPPED = "skipped"  # it could not be asked for; `last_message` says why
    MISSED = "missed"  # no server was there in time


class Schedule(SQLModel, table=True):
    """An operation, and when it is asked for. Whoever moves `next_run_at` on asks for it, so only one server does."""

    name: str = Field(primary_key=True, max_length=64)
    cron: str = Field(max_length=128)
    time_zone: str = Field(default="UTC", max_length=64)
    enabled: bool = True
    grace_seconds: int = 300
    kind: str = Field(max_length=32)
    cluster: str = Field(max_length=64)
    parameters: dict[str, Any] = Field(default_factory=dict, sa_type=JsonObject)
    dry_run: bool = False
    next_run_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    last_run_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_outcome: str | None = Field(default=None, max_length=16)
    last_message: str = ""
    last_operation_id: int | None = None
    created_by: str = ""
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
