"""An operation's story as text: a summary, then its hosts, those first that did not come to a good end."""

from __future__ import annotations

from itertools import groupby
from statistics import median
from typing import TYPE_CHECKING, Any

from commissaire.commctl.output import printable
from commissaire.commctl.progress import Progress
from commissaire.commctl.story import outcome, packages
from commissaire.commctl.times import clock, duration, unix, zone

if TYPE_CHECKING:
    from collections.abc import Iterator

_IN_FULL = 20
"""Hosts that are told of in full, and lines for hosts that went well, unless all are asked for."""
_FEW = 5
"""So many hosts are told of in full, however they fared."""
_PACKAGES = 10
_ORDER = ("failed", "cancelled", "running", "skipped", "finished", "pending", "not_started")


def explain(story: dict[str, Any], *, everything: bool = False) -> Iterator[str]:
    """Yield the lines that tell *story* (`commissaire.commctl.story.fetch`)."""
    since = str(story["created_at"])
    yield from _summary(story)
    yield f"\nThe operation ({zone(since)})"
    for event in story["events"]:
        attempt = f"  (attempt {event['attempt']})" if event["attempt"] > 1 else ""
        message = event["message"] if event["message"] != event["state"] else ""
        yield f"  {clock(event['time'], since)}  {event['state']:<9}  {printable(message)}{attempt}".rstrip()
    everything = everything or len(story["hosts"]) <= _FEW
    for state in _ORDER:
        hosts = [host for host in story["hosts"] if host["state"] == state]
        if hosts:
            yield f"\n{state.replace('_', ' ').capitalize()}: {_number(len(hosts))}"
            yield from _section(state, hosts, story, since, everything)


def _summary(story: dict[str, Any]) -> Iterator[str]:
    notes = ["dry run"] if story["dry_run"] else []
    if story["retry_of"]:
        notes.append(f"retry of {story['retry_of']}")
    note = f" ({', '.join(notes)})" if notes else ""
    yield f"{printable(Progress(story).title)}, operation {story['id']}: {story['state']}{note}"
    if story["message"]:
        yield f"  {printable(story['message'])}"
    began, ended = story.get("started_at"), story.get("finished_at")
    took = f", took {duration(unix(ended or story['as_of']) - unix(began))}" if began else ""
    attempts = f" in {story['attempt']} attempts" if story["attempt"] > 1 else ""
    yield f"  asked for by {printable(story['requested_by'])} at {clock(story['created_at'])}{took}{attempts}"
    total = story["counts"]["total"]
    parts = [
        f"{story['counts'].get(state)} {state.replace('_', ' ')}" for state in _ORDER if story["counts"].get(state)
    ]
    yield f"  {_number(total)}{': ' if parts else ''}{', '.join(parts)}"


def _section(
    state: str, hosts: list[dict[str, Any]], story: dict[str, Any], since: str, everything: bool
) -> Iterator[str]:
    if everything:
        for host in hosts:
            yield from _in_full(host, story, since, None)
    elif state in ("failed", "cancelled", "running"):
        for host in hosts[:_IN_FULL]:
            yield from _in_full(host, story, since, _PACKAGES)
        yield from _rest(hosts[_IN_FULL:])
    elif state == "finished":
        width = max(len(host["address"]) for host in hosts[:_IN_FULL])
        for host in hosts[:_IN_FULL]:
            yield _in_short(host, story, width)
        yield from _rest(hosts[_IN_FULL:])
    else:
        for message, same in groupby(hosts, lambda host: host["message"]):
            addresses = [printable(host["address"]) for host in same]
            more = f" and {len(addresses) - _IN_FULL} more" if len(addresses) > _IN_FULL else ""
            yield f"  {', '.join(addresses[:_IN_FULL])}{more}{f': {printable(message)}' if message else ''}"


def _in_full(host: dict[str, Any], story: dict[str, Any], since: str, most_packages: int | None) -> Iterator[str]:
    took = "" if host["seconds"] is None else f", {duration(host['seconds'])}"
    yield f"\n  {printable(host['address'])}  {host['state'].replace('_', ' ')}{took}"
    if host["message"]:
        yield f"    {printable(host['message'])}"
    attempt = 1
    for phase in host["phases"]:
        if phase["attempt"] != attempt:
            attempt = phase["attempt"]
            yield f"    attempt {attempt}"
        state = "" if phase["state"] == "finished" else phase["state"].replace("_", " ")
        message = phase["message"] if phase["message"] != host["message"] else ""
        words = f"{state}{': ' if state and message else ''}{printable(message)}"
        name = printable(phase["phase"])
        yield f"    {clock(phase['began_at'], since)}  {_lasted(phase, story):>10}  {name:<10}  {words}".rstrip()
    for failure in host["failures"]:
        if failure["message"] == host["message"]:
            continue  # the role's last task repeats the reason
        yield f"    {clock(failure['time'], since)}  {failure['type']}: {printable(failure['task'] or 'no task')}"
        yield from (f"      | {printable(line)}".rstrip() for line in failure["message"].splitlines())
    for change in host["diffs"]:
        yield f"    {clock(change['time'], since)}  would change: {printable(change['task'] or 'no task')}"
        yield from (f"      | {printable(line)}".rstrip() for line in str(change["diff"]).splitlines())
    for sentence in outcome(host["data"]):
        if sentence != host["message"]:
            yield f"    {printable(sentence)}"
    changed = packages(host["data"])
    for name, change in changed[:most_packages]:
        yield f"      {printable(name)}  {printable(change)}"
    if most_packages is not None and len(changed) > most_packages:
        yield f"      ... and {len(changed) - most_packages} more (--all shows them)"


def _in_short(host: dict[str, Any], story: dict[str, Any], width: int) -> str:
    took = "-" if host["seconds"] is None else duration(host["seconds"])
    phases = [f"{phase['phase']} {_lasted(phase, story)}" for phase in host["phases"] if phase["phase"] != "waiting"]
    told = outcome(host["data"]) or ([host["message"]] if host["message"] else [])
    return printable(f"  {host['address']:<{width}}  {took:>10}  {'; '.join([', '.join(phases), *told])}".rstrip())


def _rest(hosts: list[dict[str, Any]]) -> Iterator[str]:
    if hosts:
        times = [host["seconds"] for host in hosts if host["seconds"] is not None]
        span = ""
        if times:
            span = (
                f", in {duration(min(times))} to {duration(max(times))}, half of them within {duration(median(times))}"
            )
        yield f"  ... and {len(hosts)} more{span} (--all shows them)"


def _lasted(phase: dict[str, Any], story: dict[str, Any]) -> str:
    return duration(unix(phase["ended_at"] or story["as_of"]) - unix(phase["began_at"]))


def _number(hosts: int) -> str:
    return f"{hosts} host{'' if hosts == 1 else 's'}"
