"""When hosts may start: windows, blackouts, and what the clocks do twice a year."""

import zoneinfo
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils.windows import next_opening, plan_window, read_calendar

NIGHT = {"from": "22:00", "to": "04:00", "time_zone": "Europe/Berlin"}
WEEKEND = {"days": ["fri", "sat"], **NIGHT}
NOON = {"from": "12:00", "to": "13:00", "time_zone": "America/New_York"}
ALL_SUNDAY = {"days": ["sun"], "from": "00:00", "to": "00:00", "time_zone": "UTC"}
CHRISTMAS = {"from": "2026-12-24T18:00:00+01:00", "to": "2026-12-27T00:00:00+01:00", "reason": "christmas"}
NEW_YEAR = {"from": "2026-12-31 18:00", "to": "2027-01-02 00:00", "time_zone": "Europe/Berlin"}


def at(text, zone="Europe/Berlin"):
    """Return the moment when the clocks of a zone show a time; "…+02:00" tells which of two it is."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).timestamp()


def calendar(*windows, blackouts=(), outside="wait"):
    return read_calendar(list(windows), list(blackouts), outside)


@pytest.mark.parametrize(
    ("windows", "blackouts", "now", "opening"),
    [
        ([], [], "2026-11-21T12:00", "2026-11-21T12:00"),
        ([NIGHT], [], "2026-11-21T21:59:59", "2026-11-21T22:00"),
        ([NIGHT], [], "2026-11-21T22:00", "2026-11-21T22:00"),
        ([NIGHT], [], "2026-11-22T03:59:59", "2026-11-22T03:59:59"),
        ([NIGHT], [], "2026-11-22T04:00", "2026-11-22T22:00"),
        # 2026-11-21 is a Saturday: its window reaches into Sunday, and Thursday's doesn't exist
        ([WEEKEND], [], "2026-11-22T03:00", "2026-11-22T03:00"),
        ([WEEKEND], [], "2026-11-22T22:30", "2026-11-27T22:00"),
        ([WEEKEND], [], "2026-11-20T03:00", "2026-11-20T22:00"),
        ([NOON], [], "2026-11-21T17:59", "2026-11-21T18:00"),
        ([NIGHT, NOON], [], "2026-11-21T16:00", "2026-11-21T18:00"),
        ([ALL_SUNDAY], [], "2026-11-22T01:00", "2026-11-22T01:00"),
        ([ALL_SUNDAY], [], "2026-11-23T01:00", "2026-11-29T01:00"),
        ([], [CHRISTMAS], "2026-12-24T17:59", "2026-12-24T17:59"),
        ([], [CHRISTMAS], "2026-12-24T18:00", "2026-12-27T00:00"),
        ([NIGHT], [CHRISTMAS], "2026-12-24T17:00", "2026-12-27T00:00"),
        ([NOON], [CHRISTMAS], "2026-12-25T18:30", "2026-12-27T18:00"),
        ([NIGHT], [CHRISTMAS, NEW_YEAR], "2026-12-31T18:00", "2027-01-02T00:00"),
    ],
)
def test_hosts_start_in_a_window_and_in_no_blackout(windows, blackouts, now, opening):
    found = next_opening(calendar(*windows, blackouts=blackouts), at(now))
    assert found == at(opening)
    assert (plan_window(calendar(*windows, blackouts=blackouts), at(now), begun=False) is None) is (now == opening)


@pytest.mark.parametrize(
    ("opens", "closes", "now", "opening"),
    [
        # 2026-03-29: the clocks go from 02:00 to 03:00, which is 01:00 UTC
        ("02:30", "04:00", "2026-03-29T01:59:59+01:00", "2026-03-29T03:00:00+02:00"),
        ("02:30", "04:00", "2026-03-29T03:59:59+02:00", "2026-03-29T03:59:59+02:00"),
        ("01:00", "02:30", "2026-03-29T01:59:59+01:00", "2026-03-29T01:59:59+01:00"),
        ("01:00", "02:30", "2026-03-29T03:00:00+02:00", "2026-03-30T01:00:00+02:00"),
        ("02:10", "02:50", "2026-03-29T01:30:00+01:00", "2026-03-30T02:10:00+02:00"),
        ("22:00", "04:00", "2026-03-29T03:59:59+02:00", "2026-03-29T03:59:59+02:00"),
        ("22:00", "04:00", "2026-03-29T04:00:00+02:00", "2026-03-29T22:00:00+02:00"),
        # 2026-10-25: 02:00 to 03:00 comes twice; at 01:00 UTC the clocks go from 03:00 back to 02:00
        ("02:30", "04:00", "2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+02:00"),
        ("02:30", "04:00", "2026-10-25T02:15:00+01:00", "2026-10-25T02:15:00+01:00"),
        ("02:30", "04:00", "2026-10-25T03:59:59+01:00", "2026-10-25T03:59:59+01:00"),
        ("01:00", "02:30", "2026-10-25T02:29:59+02:00", "2026-10-25T02:29:59+02:00"),
        ("01:00", "02:30", "2026-10-25T02:15:00+01:00", "2026-10-26T01:00:00+01:00"),
        ("02:00", "03:00", "2026-10-25T02:59:59+01:00", "2026-10-25T02:59:59+01:00"),
    ],
)
def test_windows_follow_the_clocks_when_they_change(opens, closes, now, opening):
    window = {"from": opens, "to": closes, "time_zone": "Europe/Berlin"}
    assert next_opening(calendar(window), at(now)) == at(opening)


@pytest.mark.parametrize(
    ("outside", "begun", "action", "until"),
    [
        ("wait", False, "pause", at("2026-11-21T22:00")),
        ("wait", True, "pause", at("2026-11-21T22:00")),
        ("refuse", False, "refuse", 0),
        ("refuse", True, "pause", at("2026-11-21T22:00")),
        ("pause", True, "leave", 0),
    ],
)
def test_what_happens_outside_is_as_told_and_what_has_begun_is_never_refused(outside, begun, action, until):
    decision = plan_window(calendar(NIGHT, outside=outside), at("2026-11-21T12:00"), begun)
    assert (decision.action, decision.until, decision.fails) == (action, until, action == "refuse")
    assert "outside the maintenance windows; hosts may start from 2026-11-21 22:00 Europe/Berlin" in decision.message


def test_a_blackout_tells_its_reason():
    decision = plan_window(calendar(blackouts=[CHRISTMAS]), at("2026-12-25T12:00"), begun=False)
    assert decision.message == "waits: blackout (christmas); hosts may start from 2026-12-26 23:00 UTC"


def test_what_yaml_has_read_as_a_time_is_one():
    moment = datetime(2026, 12, 24, 17, 0, tzinfo=ZoneInfo("UTC"))
    (blackout,) = calendar(blackouts=[{**CHRISTMAS, "from": moment}]).blackouts
    assert blackout.begins == moment.timestamp()


@pytest.mark.parametrize(
    ("windows", "blackouts", "complaint"),
    [
        ("22:00-04:00", [], "maintenance_windows is '22:00-04:00'; give a list"),
        (["night"], [], "entry 1 is 'night'; give a mapping"),
        ([NIGHT, {**NIGHT, "from": 1320}], [], "maintenance_windows, entry 2: from is 1320; .*in quotes"),
        ([{**NIGHT, "to": "24:00"}], [], "to is '24:00'"),
        ([{**NIGHT, "days": "mon"}], [], "days is 'mon'; give a list of some of mon, tue"),
        ([{**NIGHT, "days": ["monday"]}], [], "days is"),
        ([{**NIGHT, "until": "x"}], [], "unknown: until; it has from, time_zone, to, and may have days"),
        ([{"from": "22:00", "to": "04:00"}], [], "time_zone missing"),
        ([{**NIGHT, "time_zone": "Europe/Bonn"}], [], "'Europe/Bonn' is not known here"),
        ([{**NIGHT, "time_zone": "../../etc/passwd"}], [], "is not known here"),
        ([{**NIGHT, "time_zone": None}], [], "is not known here"),
        ([], [{"from": "yesterday", "to": "2026-01-01"}], "blackouts, entry 1: from is 'yesterday'"),
        ([], [{"from": "2026-01-01T00:00", "to": "2026-01-02T00:00"}], "has no offset; add one, or give a time_zone"),
        ([], [{**CHRISTMAS, "to": CHRISTMAS["from"]}], "is not after from"),
    ],
)
def test_anything_else_is_refused_with_what_to_write_instead(windows, blackouts, complaint):
    with pytest.raises(ValueError, match=complaint):
        read_calendar(windows, blackouts, "wait")


def test_without_the_rules_of_time_zones_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr("ansible_collections.commissaire.fleet.plugins.plugin_utils.windows.ZoneInfo", _no_rules)
    with pytest.raises(ValueError, match="install its package tzdata, or pip install tzdata"):
        calendar(NIGHT)


def _no_rules(name):
    raise zoneinfo.ZoneInfoNotFoundError(f"No time zone found with key {name}")
