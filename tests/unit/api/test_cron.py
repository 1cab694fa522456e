"""When schedules are due."""

from __future__ import annotations

from datetime import datetime

import pytest

from commissaire.fleet.cron import check_cron, last_time, next_time

BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("expression", "zone", "after", "following"),
    [
        ("30 3 * * *", "UTC", "2026-11-21T03:29:59Z", "2026-11-21T03:30:00Z"),
        ("30 3 * * *", "UTC", "2026-11-21T03:30:00Z", "2026-11-22T03:30:00Z"),
        ("30 3 * * *", BERLIN, "2026-11-21T00:00:00Z", "2026-11-21T02:30:00Z"),
        ("30 3 * * *", BERLIN, "2026-07-21T00:00:00Z", "2026-07-21T01:30:00Z"),
        ("0 4 * * SAT", "UTC", "2026-11-21T04:00:00Z", "2026-11-28T04:00:00Z"),
        ("*/20 * * * *", "UTC", "2026-11-21T04:41:00Z", "2026-11-21T05:00:00Z"),
        # 2026-03-29 the clocks go from 02:00 to 03:00, 2026-10-25 from 03:00 back to 02:00
        ("30 2 * * *", BERLIN, "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"),
        ("30 2 * * *", BERLIN, "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"),
        ("30 2 * * *", BERLIN, "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),
        ("30 2 * * *", BERLIN, "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
        ("30 2 * * *", BERLIN, "2026-10-25T01:00:00Z", "2026-10-26T01:30:00Z"),
        ("30 2 * * *", BERLIN, "2026-10-25T01:15:00.5Z", "2026-10-26T01:30:00Z"),
        ("30 2 * * *", BERLIN, "2026-10-25T01:29:59Z", "2026-10-26T01:30:00Z"),
        ("0,30 2,3 * * *", BERLIN, "2026-10-25T01:10:00Z", "2026-10-25T02:00:00Z"),
        ("30 * * * *", BERLIN, "2026-10-25T01:10:00Z", "2026-10-25T01:30:00Z"),
    ],
)
def test_times_follow_the_clocks_of_their_zone(expression: str, zone: str, after: str, following: str) -> None:
    assert next_time(expression, zone, at(after)) == at(following)


@pytest.mark.parametrize(
    ("expression", "until", "last"),
    [
        ("30 3 * * *", "2026-11-21T02:30:00Z", "2026-11-21T02:30:00Z"),
        ("30 3 * * *", "2026-11-21T02:30:00.5Z", "2026-11-21T02:30:00Z"),
        ("30 3 * * *", "2026-11-21T02:29:59Z", "2026-11-20T02:30:00Z"),
        ("30 3 * * *", "2026-11-21T15:00:00Z", "2026-11-21T02:30:00Z"),
        ("30 2 * * *", "2026-10-25T01:10:00Z", "2026-10-25T00:30:00Z"),
        ("0,15,30,45 2 * * *", "2026-10-25T01:10:00Z", "2026-10-25T00:45:00Z"),
    ],
)
def test_the_last_of_the_times_that_passed_is_found(expression: str, until: str, last: str) -> None:
    assert last_time(expression, BERLIN, at(until)) == at(last)


@pytest.mark.parametrize(
    "expression", ["* * * *", "* * * * * *", "61 * * * *", "@daily", "0 0 30 2 *", "", "٣ * * * *"]
)
def test_anything_else_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="cron expression"):
        check_cron(expression)
