# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a rolling play may start hosts: maintenance windows and blackouts, without any I/O but the time zones' rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ansible_collections.commissaire.fleet.plugins.plugin_utils.place import Decision

if TYPE_CHECKING:
    from collections.abc import Iterable

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
OUTSIDE = ("wait", "refuse", "pause")
DAYS_AHEAD = 15  # any weekly window opens within 8 days, unless the clocks skip it, which they do not twice in a row


@dataclass(frozen=True)
class Window:
    """A time of some days of the week (0 is Monday), on which it opens; when `closes` is not later, the day after."""

    days: frozenset[int]
    opens: time
    closes: time
    zone: ZoneInfo

    def around(self, now: float, days: int) -> Iterable[tuple[float, float]]:
        """Yield when it opens and closes (seconds since the epoch) from yesterday to `days` later, in order."""
        today = datetime.fromtimestamp(now, self.zone).date()
        for day in (today + timedelta(days=number) for number in range(-1, days)):
            if day.weekday() in self.days:
                last = day if self.opens < self.closes else day + timedelta(days=1)
                yield _moment(day, self.opens, self.zone), _moment(last, self.closes, self.zone)


@dataclass(frozen=True)
class Blackout:
    """A time in which nothing starts, in seconds since the epoch."""

    begins: float
    ends: float
    reason: str


@dataclass(frozen=True)
class Calendar:
    """When hosts may start: in any of the windows (always, when there are none), and in none of the blackouts."""

    windows: tuple[Window, ...] = ()
    blackouts: tuple[Blackout, ...] = ()
    outside: str = "wait"


def read_calendar(windows: Any, blackouts: Any, outside: str) -> Calendar:
    """Turn what a play is asked for into a calendar, or raise ValueError; the collection's documents tell its form."""
    return Calendar(
        tuple(_read("maintenance_windows", windows, _window)), tuple(_read("blackouts", blackouts, _blackout)), outside
    )


def plan_window(calendar: Calendar, now: float, begun: bool) -> Decision | None:
    """Decide whether hosts may start at `now` (seconds since the epoch); None when they may.

    A play that has `begun` to start hosts is not refused any more: the rest of its hosts wait.
    """
    why = _shut(calendar, now)
    if not why:
        return None
    opening = next_opening(calendar, now)
    if opening is None:
        told = f"not started: {why}, and no window opens within {DAYS_AHEAD} days after it"
        return Decision("refuse", told, fails=True)
    when = f"{why}; hosts may start from {_shown(calendar, opening)}"
    if calendar.outside == "refuse" and not begun:
        return Decision("refuse", f"not started: {when}", fails=True)
    if calendar.outside == "pause":
        return Decision("leave", f"paused: {when}, once somebody lets it go on")
    return Decision("pause", f"waits: {when}", opening)


def next_opening(calendar: Calendar, now: float) -> float | None:
    """Return the first moment from `now` on at which hosts may start; None when there is none."""
    moment = now
    while _shut(calendar, moment):
        blackout = _blackout_at(calendar, moment)
        if blackout:
            moment = blackout.ends
            continue
        openings = (
            opens for window in calendar.windows for opens, closes in window.around(moment, DAYS_AHEAD)
            if moment < opens < closes
        )  # fmt: skip
        following = min(openings, default=None)
        if following is None:
            return None
        moment = following
    return moment


def _shut(calendar: Calendar, moment: float) -> str:
    """Return why no host may start at a moment; empty when one may."""
    blackout = _blackout_at(calendar, moment)
    if blackout:
        return f"blackout{f' ({blackout.reason})' if blackout.reason else ''}"
    within = (
        opens <= moment < closes for window in calendar.windows for opens, closes in window.around(moment, 1)
    )  # fmt: skip
    return "" if not calendar.windows or any(within) else "outside the maintenance windows"


def _blackout_at(calendar: Calendar, moment: float) -> Blackout | None:
    return next((one for one in calendar.blackouts if one.begins <= moment < one.ends), None)


def _moment(day: date, at: time, zone: ZoneInfo) -> float:
    """Return when a zone's clocks show a time of a day.

    Of a time that comes twice, when the clocks go back, the first; of one that they skip, the moment when they do.
    """
    local = datetime.combine(day, at, zone)
    first = local.timestamp()
    if datetime.fromtimestamp(first, zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return first
    after = local.replace(fold=1)  # PEP 495: in a gap, this one has the offset that holds afterwards
    minutes = range(int(after.timestamp()), int(first) + 60, 60)
    return next(float(one) for one in minutes if datetime.fromtimestamp(one, zone).utcoffset() == after.utcoffset())


def _shown(calendar: Calendar, moment: float) -> str:
    zone = calendar.windows[0].zone if calendar.windows else ZoneInfo("UTC")
    return f"{datetime.fromtimestamp(moment, zone):%Y-%m-%d %H:%M} {zone.key}"


def _read(name: str, given: Any, read: Any) -> list[Any]:
    if not isinstance(given, (list, tuple)):
        raise ValueError(f"{name} is {given!r}; give a list")
    found = []
    for number, entry in enumerate(given, 1):
        if not isinstance(entry, dict):
            raise ValueError(f"{name}, entry {number} is {entry!r}; give a mapping with from and to")
        try:
            found.append(read(dict(entry)))
        except ValueError as error:
            raise ValueError(f"{name}, entry {number}: {error}") from error
    return found


def _window(entry: dict[str, Any]) -> Window:
    _check_keys(entry, {"from", "to", "time_zone"}, {"days"})
    days = entry.get("days") or DAYS
    if isinstance(days, str) or not set(days) <= set(DAYS):
        raise ValueError(f"days is {days!r}; give a list of some of {', '.join(DAYS)}")
    return Window(
        frozenset(DAYS.index(day) for day in days),
        _time("from", entry["from"]),
        _time("to", entry["to"]),
        _zone(entry["time_zone"]),
    )


def _blackout(entry: dict[str, Any]) -> Blackout:
    _check_keys(entry, {"from", "to"}, {"time_zone", "reason"})
    begins, ends = (_instant(name, entry[name], entry.get("time_zone")) for name in ("from", "to"))
    if ends <= begins:
        raise ValueError(f"to ({entry['to']}) is not after from ({entry['from']})")
    return Blackout(begins, ends, str(entry.get("reason") or ""))


def _check_keys(entry: dict[str, Any], required: set[str], optional: set[str]) -> None:
    missing, unknown = required - set(entry), set(entry) - required - optional
    if missing or unknown:
        problem = f"{', '.join(sorted(missing))} missing" if missing else f"unknown: {', '.join(sorted(unknown))}"
        raise ValueError(f"{problem}; it has {', '.join(sorted(required))}, and may have {', '.join(sorted(optional))}")


def _time(name: str, value: Any) -> time:
    try:
        return datetime.strptime(value, "%H:%M").time()
    except (TypeError, ValueError) as error:  # YAML 1.1 reads 22:00 without quotes as the number 1320
        raise ValueError(f'{name} is {value!r}; give hours and minutes in quotes, like "22:00"') from error


def _instant(name: str, value: Any, zone: Any) -> float:
    text = value.isoformat() if isinstance(value, datetime) else str(value)  # YAML reads such times itself
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00").replace("z", "+00:00"))
    except ValueError as error:
        raise ValueError(f'{name} is {text!r}; give a time like "2026-12-24T18:00:00+01:00"') from error
    if moment.tzinfo is not None:
        return moment.timestamp()
    if zone is None:
        raise ValueError(f"{name} is {text!r}, which has no offset; add one, or give a time_zone")
    return _moment(moment.date(), moment.time(), _zone(zone))


def _zone(name: Any) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, TypeError, OSError) as error:
        raise ValueError(
            f"time_zone {name!r} is not known here; give an IANA name like Europe/Berlin. If it is one, this "
            f"controller has no rules of time zones: install its package tzdata, or pip install tzdata"
        ) from error
