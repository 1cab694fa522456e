"""An operation's story as one HTML file that needs nothing else: no script, no style sheet, no image."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from commissaire.commctl.output import printable
from commissaire.commctl.progress import Progress
from commissaire.commctl.story import outcome, packages
from commissaire.commctl.times import clock, duration, unix, zone

CHART_WIDTH = 800
ROW_HEIGHT = 18
LEAST_WIDTH = 1.5
"""A phase too short to be seen is drawn this wide."""
TICKS = 5
_KNOWN = ("waiting", "checking", "upgrading", "deploying", "rebooting", "verifying")
_BAD = ("failed", "cancelled")


def report(story: dict[str, Any]) -> str:
    """Return the page that tells *story* (`commissaire.commctl.story.fetch`). Hosts' words are only text in it."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(
        plain=lambda value: printable(value, keep="\n"), duration=duration, clock=lambda time: clock(time),
    )  # fmt: skip
    template = environment.from_string((files("commissaire.commctl") / "report.html.j2").read_text())
    scale = _Scale(story)
    return template.render(
        story=story,
        title=f"{Progress(story).title}, operation {story['id']}: {story['state']}",
        zone=zone(story["created_at"]),
        took=scale.end - unix(story["started_at"]) if story.get("started_at") else None,
        hosts=sorted((_host(host, scale) for host in story["hosts"]), key=lambda host: host["state"] not in _BAD),
        chart=_chart(story, scale),
    )


class _Scale:
    """From Unix seconds to the chart's units."""

    def __init__(self, story: dict[str, Any]) -> None:
        self.begin = unix(story["created_at"])
        ends = [unix(phase["ended_at"]) for host in story["hosts"] for phase in host["phases"] if phase["ended_at"]]
        self.end = max([unix(story.get("finished_at") or story["as_of"]), self.begin + 0.001, *ends])

    def x(self, time: float) -> float:
        return round((time - self.begin) / (self.end - self.begin) * CHART_WIDTH, 1)


def _host(host: dict[str, Any], scale: _Scale) -> dict[str, Any]:
    phases = [{**phase, "seconds": _end(phase, scale) - unix(phase["began_at"])} for phase in host["phases"]]
    return {**host, "phases": phases, "outcome": outcome(host["data"]), "packages": packages(host["data"])}


def _chart(story: dict[str, Any], scale: _Scale) -> dict[str, Any]:
    names = list(dict.fromkeys(phase["phase"] for host in story["hosts"] for phase in host["phases"]))
    unknown = [name for name in names if name not in _KNOWN]
    colours = {name: name if name in _KNOWN else f"other{unknown.index(name) % 4}" for name in names}
    rows = []
    for index, host in enumerate(story["hosts"]):
        bars = []
        for phase in host["phases"]:
            x = scale.x(unix(phase["began_at"]))
            width = max(LEAST_WIDTH, round(scale.x(_end(phase, scale)) - x, 1))
            bars.append(
                {**phase, "x": min(x, CHART_WIDTH - LEAST_WIDTH), "width": width, "colour": colours[phase["phase"]]}
            )
        rows.append({"address": host["address"], "state": host["state"], "y": index * ROW_HEIGHT, "bars": bars})
    step = (scale.end - scale.begin) / TICKS
    return {
        "width": CHART_WIDTH,
        "row_height": ROW_HEIGHT,
        "height": len(rows) * ROW_HEIGHT,
        "rows": rows,
        "colours": colours,
        "marks": [{**event, "x": scale.x(unix(event["time"]))} for event in story["events"]],
        "ticks": [{"x": scale.x(scale.begin + n * step), "text": duration(n * step)} for n in range(TICKS + 1)],
    }


def _end(phase: dict[str, Any], scale: _Scale) -> float:
    return unix(phase["ended_at"]) if phase["ended_at"] else scale.end
