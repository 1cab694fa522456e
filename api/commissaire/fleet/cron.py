"""Cron expressions of five fields, in a time zone, as Debian's cron reads them (crontab(5))."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field, StrictStr

from commissaire.clock import now

_FIELDS = 5


def check_cron(expression: str) -> str:
    """Return *expression* when it is one that comes true some time, else raise ValueError."""
    problem = "it is no cron expression; give minute, hour, day of month, month and day of week, like 30 3 * * SAT"
    if len(expression.split()) != _FIELDS or not expression.isascii():
        raise ValueError(problem)
    try:
        next_time(expression, "UTC", now())
    except CronSimError as error:
        raise ValueError(f"{problem} ({str(error).lower()})") from error
    except StopIteration as error:
        raise ValueError("there is no such day in 50 years") from error
    return expression


CronExpression = Annotated[
    StrictStr,
    AfterValidator(check_cron),
    Field(max_length=128, description="Minute, hour, day of month, month, day of week: `30 3 * * SAT`."),
]


def next_time(expression: str, time_zone: str, after: datetime) -> datetime:
    """Return the first time after *after*, in UTC.

    One that the clocks skip comes when they do; of one that they show twice the first counts, unless it is hourly.
    """
    times = CronSim(expression, after.astimezone(ZoneInfo(time_zone)))
    # in an hour that the clocks show for the second time it goes by their faces, and tells what was in the first
    return next(time for time in (time.astimezone(UTC) for time in times) if time > after)


def last_time(expression: str, time_zone: str, until: datetime) -> datetime:
    """Return the last time that is not after *until*, in UTC."""
    times = CronSim(expression, until.astimezone(ZoneInfo(time_zone)), reverse=True)
    found = next(times).astimezone(UTC)
    # the way back leaves out a moment that is one itself, and what was an hour ago by clocks that show it once more
    while (following := next_time(expression, time_zone, found)) <= until:
        found = following
    return found
