"""The bodies of REST v1's schedules."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from commissaire.clock import rfc3339
from commissaire.fleet.cron import CronExpression
from commissaire.fleet.parameters import WholeNumber
from commissaire.fleet.time_zone import TimeZone
from commissaire.records import OperationKind, Schedule, ScheduleOutcome
from commissaire.routes.v1.bodies import RollingWanted

LEAST_GRACE_SECONDS = 10
"""Servers may sleep for some seconds before they see what another one has recorded."""


class ScheduleChanges(BaseModel):
    """PUT of a schedule."""

    model_config = ConfigDict(extra="forbid")

    cron: CronExpression
    time_zone: TimeZone = "UTC"
    enabled: StrictBool | None = Field(default=None, description="Default as it is; a new one is enabled.")
    grace_seconds: Annotated[WholeNumber, Field(ge=LEAST_GRACE_SECONDS, le=86400)] = Field(
        default=300, description="How late it may still run, when no server was there in time."
    )
    operation: Annotated[RollingWanted, Field(discriminator="kind")]

    def fields(self) -> dict[str, Any]:
        """Return the fields of the record that are given."""
        return {
            **self.model_dump(include={"cron", "time_zone", "enabled", "grace_seconds"}, exclude_none=True),
            "kind": self.operation.kind,
            "cluster": self.operation.cluster,
            "parameters": self.operation.parameters.model_dump(mode="json", exclude_none=True),
            "dry_run": self.operation.dry_run,
        }


class ScheduleWanted(ScheduleChanges):
    """POST of a schedule."""

    name: Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class ScheduledOperation(BaseModel):
    """What a schedule asks for."""

    kind: OperationKind
    cluster: str
    parameters: dict[str, Any]
    dry_run: bool


class ScheduleShown(BaseModel):
    """A schedule."""

    name: str
    cron: str
    time_zone: str
    enabled: bool
    grace_seconds: int
    operation: ScheduledOperation
    next_run_at: str | None = Field(description="When it is due; null while it is disabled.")
    last_run_at: str | None = Field(description="When it was due, or run, last.")
    last_outcome: ScheduleOutcome | None = Field(description="What came of that; `last_message` says why.")
    last_message: str
    last_operation_id: int | None = Field(description="The last operation that it asked for.")
    created_by: str
    created_at: str

    @classmethod
    def of(cls, schedule: Schedule) -> ScheduleShown:
        """Show a record."""
        return cls(
            name=schedule.name,
            cron=schedule.cron,
            time_zone=schedule.time_zone,
            enabled=schedule.enabled,
            grace_seconds=schedule.grace_seconds,
            operation=ScheduledOperation(
                kind=OperationKind(schedule.kind),
                cluster=schedule.cluster,
                parameters=schedule.parameters,
                dry_run=schedule.dry_run,
            ),
            next_run_at=rfc3339(schedule.next_run_at),
            last_run_at=rfc3339(schedule.last_run_at),
            last_outcome=ScheduleOutcome(schedule.last_outcome) if schedule.last_outcome else None,
            last_message=schedule.last_message,
            last_operation_id=schedule.last_operation_id,
            created_by=schedule.created_by,
            created_at=rfc3339(schedule.created_at) or "",
        )


class ScheduleList(BaseModel):
    """All schedules, by name."""

    items: list[ScheduleShown]
