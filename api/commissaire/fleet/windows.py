"""Maintenance windows and blackouts: the form of these parameters. The collection decides by them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, StrictStr, model_validator

from commissaire.fleet.plain_text import PlainLine
from commissaire.fleet.time_zone import TimeZone

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
TimeOfDay = Annotated[StrictStr, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Moment = Annotated[StrictStr, Field(max_length=40, description="`2026-12-24T18:00:00+01:00`; local with a time zone.")]


class _Times(BaseModel):
    model_config = ConfigDict(extra="forbid", serialize_by_alias=True)


class MaintenanceWindow(_Times):
    """A time of day in which hosts may start. It passes midnight when it ends no later than it begins."""

    days: list[Day] | None = Field(None, min_length=1, description="On which it opens; default all.")
    opens: TimeOfDay = Field(alias="from")
    closes: TimeOfDay = Field(alias="to")
    time_zone: TimeZone


class Blackout(_Times):
    """A time in which no host may start, whatever the windows say."""

    begins: Moment = Field(alias="from")
    ends: Moment = Field(alias="to")
    time_zone: TimeZone | None = None
    reason: PlainLine = ""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self._moment(self.ends) <= self._moment(self.begins):
            raise ValueError("to is not after from")
        return self

    def _moment(self, text: str) -> datetime:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise ValueError(f"{text!r} is no time; give one like 2026-12-24T18:00:00+01:00") from error
        if moment.tzinfo is None and self.time_zone is None:
            raise ValueError(f"{text!r} has no offset; add one, or give a time_zone")
        return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(self.time_zone or "UTC"))
