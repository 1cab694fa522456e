"""operation show, timeline and report."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from commissaire.commctl.gantt import chart
from unit.commctl import stories
from unit.commctl.server import ScriptedServer

if TYPE_CHECKING:
    from unit.commctl.conftest import Run

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> {{ 7 * 7 }}\x1b[2J\u202e"
SHOW = """\
upgrade of cluster web, operation 7: failed
  10.0.0.2: upgrading: no space
  asked for by admin at 2026-11-21 09:00:00, took 1 min 39 s in 2 attempts
  3 hosts: 1 failed, 1 finished, 1 not started

The operation (UTC)
  09:00:00  queued     upgrade asked for by admin
  09:00:01  running
  09:00:30  queued     its server vanished; it goes on where it was
  09:00:40  running    resumed, attempt 2  (attempt 2)
  09:01:40  failed     10.0.0.2: upgrading: no space  (attempt 2)

Failed: 1 host

  10.0.0.2  failed, 30.0 s
    upgrading: no space
    09:00:01      29.0 s  waiting     pending
    attempt 2
    09:00:40      30.0 s  waiting
    09:01:10       2.0 s  checking
    09:01:12      28.0 s  upgrading   failed
    09:01:39  failed: Upgrade
      | E: You don't have enough free space
      | in /var/cache/apt/archives/

Finished: 1 host

  10.0.0.1  finished, 1 min 8 s
    12 packages changed
    09:00:01       1.0 s  waiting
    09:00:02       2.0 s  checking
    09:00:04      26.0 s  upgrading   interrupted
    attempt 2
    09:00:40       1.0 s  waiting
    09:00:41      19.0 s  upgrading
    09:01:00      10.0 s  rebooting
    rebooted in 9.5 s
      package-0  1.0 -> 1.1
"""


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def many(number: int) -> dict[str, Any]:
    """Return the timeline of a large operation: some failed, some finished, one never started."""
    failed = [
        stories.host(f"10.1.0.{n}", "failed", stories.phase("rebooting", n, n + 1, "failed"), message="no answer")
        for n in range(number // 10)
    ]
    finished = [
        stories.host(f"10.2.0.{n}", "finished", stories.phase("rebooting", n % 50, n % 50 + 1 + n % 3))
        for n in range(number - len(failed) - 1)
    ]
    left = stories.host("10.3.0.1", "not_started", message="not started: too many failed")
    counts = {"total": number, "finished": len(finished), "failed": len(failed), "not_started": 1}
    return {**stories.TIMELINE, "operation": stories.operation(hosts=counts), "hosts": [*finished, *failed, left]}


def test_show_tells_what_happened_and_what_failed(commctl: Run, server: ScriptedServer) -> None:
    stories.script(server)
    result = commctl("operation", "show", "7")
    assert result.code == 0
    assert result.out.startswith(SHOW)
    assert "      package-9  1.0 -> 1.1\n      brand-new  new: 3\n      gone  removed: 2\n" in result.out
    assert result.out.endswith("""
Not started: 1 host

  10.0.0.3  not started
    not started: 10.0.0.2 failed
    attempt 2
    09:00:40   1 min 0 s  waiting     not started
""")


def test_show_as_json_has_all_of_it(commctl: Run, server: ScriptedServer) -> None:
    stories.script(server)
    story = json.loads(commctl("operation", "show", "7", "-o", "json").out)
    assert (story["id"], story["state"], story["as_of"]) == (7, "failed", stories.at(120))
    assert story["counts"] == stories.operation()["hosts"]
    assert story["events"] == stories.EVENTS
    hosts = {host["address"]: host for host in story["hosts"]}
    assert [host["phases"] for host in hosts.values()] == [host["phases"] for host in stories.HOSTS]
    assert hosts["10.0.0.1"]["data"] == stories.DATA["10.0.0.1"]
    assert [failure["task"] for failure in hosts["10.0.0.2"]["failures"]] == ["Upgrade"]
    assert hosts["10.0.0.1"]["failures"] == []


def test_show_as_a_table_has_a_line_a_host(commctl: Run, server: ScriptedServer) -> None:
    stories.script(server)
    table = commctl("operation", "show", "7", "-o", "table").out
    assert re.search(r"^10\.0\.0\.2 +failed +upgrading +30\.0 +upgrading: no space$", table, re.MULTILINE)
    assert re.search(r"^counts +total 3, finished 1", table, re.MULTILINE)


def test_the_journal_is_not_asked_for_failures_where_there_are_none(commctl: Run, server: ScriptedServer) -> None:
    counts = {"total": 1, "finished": 1}
    stories.script(
        server, {**stories.TIMELINE, "operation": stories.operation(hosts=counts), "hosts": stories.HOSTS[:1]}
    )
    assert commctl("operation", "show", "7").code == 0
    assert not [path for _, path in server.calls if "/events" in path]


def test_a_dry_run_tells_what_each_task_would_change(commctl: Run, server: ScriptedServer) -> None:
    told = {**stories.failure(1, "10.0.0.1", 50, "Mark the host", "changed"), "type": "task"}
    changes = [{**told, "data": {"diff": f"--- before\n+++ after\n-{HOSTILE}\n+b"}}, {**told, "data": {}}]
    operation = stories.operation(dry_run=True, hosts={"total": 1, "finished": 1})
    timeline = {**stories.TIMELINE, "operation": operation, "hosts": stories.HOSTS[:1]}
    for command in ("show", "report"):
        server.answers.clear()
        stories.script(server, timeline, {}, changes)
        result = commctl("operation", command, "7")
        assert (result.code, "\x1b" in result.out, "\u202e" in result.out) == (0, False, False)
        asked = [path for _, path in server.calls if "/events" in path]
        assert asked, "the journal is asked for what would change"
        assert all("type=task" in path for path in asked)
        if command == "show":
            assert "    09:00:50  would change: Mark the host\n      | --- before\n      | +++ after\n" in result.out
            assert result.out.count("would change: ") == 1
        else:
            text = "".join(page_of(result.out).text)
            assert "the task “Mark the host” would change:" in text
            assert "--- before\n+++ after\n-<script>alert(1)</script>" in text


def test_of_many_hosts_those_come_first_that_failed_and_the_rest_is_summed_up(
    commctl: Run, server: ScriptedServer
) -> None:
    stories.script(server, many(300), failures=[])
    out = commctl("operation", "show", "7").out
    lines = out.splitlines()
    assert len(lines) < 160
    assert out.index("Failed: 30 hosts") < out.index("Finished: 269 hosts") < out.index("Not started: 1 host")
    assert "  10.1.0.0  failed, 1.0 s" in lines
    assert "  10.2.0.0        1.0 s  rebooting 1.0 s" in lines
    assert "  ... and 249 more, in 1.0 s to 3.0 s, half of them within 2.0 s (--all shows them)" in lines
    assert "  10.3.0.1: not started: too many failed" in lines
    everything = commctl("operation", "show", "--all", "7").out
    assert all(f"  {host['address']}  " in everything for host in many(300)["hosts"])


def test_no_host_steers_the_terminal(commctl: Run, server: ScriptedServer) -> None:
    hosts = [stories.host(HOSTILE, "failed", stories.phase(HOSTILE, 1, 2, "failed", message=HOSTILE), message=HOSTILE)]
    data = {HOSTILE: {"packages_changed": 1, "packages": [{"name": HOSTILE, "before": HOSTILE, "after": HOSTILE}]}}
    story = {**stories.TIMELINE, "operation": stories.operation(message=HOSTILE), "hosts": hosts}
    for command in ("show", "timeline"):
        stories.script(server, story, data, [stories.failure(1, HOSTILE, 2, HOSTILE, HOSTILE)])
        out = commctl("operation", command, "7").out
        assert "alert(1)" in out
        assert "\x1b" not in out
        assert "\u202e" not in out


def test_timeline_as_json_is_the_servers_own(commctl: Run, server: ScriptedServer) -> None:
    stories.script(server)
    assert json.loads(commctl("operation", "timeline", "7", "-o", "json").out) == stories.TIMELINE


def test_timeline_draws_a_row_a_host(commctl: Run, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    stories.script(server)
    lines = commctl("operation", "timeline", "7").out.splitlines()
    assert lines[0] == "upgrade of cluster web, operation 7: failed"
    assert lines[1].startswith(" " * 10 + "2026-11-21 09:00:00 UTC")
    assert lines[1].endswith("1 min 40 s")
    assert lines[2].replace(" ", "") == "operation2345", "both events of the first second share a column"
    rows = dict(line.split(" ", 1) for line in lines[3:6])
    assert rows["10.0.0.1"].count("↯") == 1
    assert rows["10.0.0.2"].rstrip().endswith("▓✗")
    assert set(rows["10.0.0.3"].strip()) == {"·"}
    assert lines[7] == "· waiting  ░ checking  ▓ upgrading  █ rebooting  ✗ failed  ↯ interrupted"
    assert lines[-1] == "  5  09:01:40  failed: 10.0.0.2: upgrading: no space"


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_chart_fits_its_width(width: int, ascii_only: bool) -> None:
    timeline = {**stories.TIMELINE, "hosts": [*stories.HOSTS, stories.host("日本" * 30, "pending")]}
    rows = list(chart(timeline, width, ascii_only=ascii_only))[2:-7]
    assert len(rows) == 5
    assert all(row.cell_len <= width for row in rows)


def test_a_chart_degrades_to_ascii() -> None:
    phases = [stories.phase(name, n, n + 1) for n, name in enumerate(["python", "packaging", "pausing", "waiting"])]
    timeline = {**stories.TIMELINE, "hosts": [*stories.HOSTS, stories.host("a", "finished", *phases)]}
    lines = [line.plain for line in chart(timeline, 80, ascii_only=True)]
    assert all(line.isascii() for line in lines)
    assert ". waiting  c checking  u upgrading  R rebooting  p python  a packaging  s pausing" in "\n".join(lines)


def test_an_operation_at_work_is_drawn_up_to_now() -> None:
    hosts = [stories.host("a", "running", stories.phase("rebooting", 10, None, "running"))]
    operation = stories.operation(state="running", finished_at=None)
    lines = [line.plain for line in chart({**stories.TIMELINE, "operation": operation, "hosts": hosts}, 50)]
    assert lines[3].endswith("██→")
    assert lines[1].endswith("2 min 0 s")


class _Page(HTMLParser):
    """What a browser would see: elements, and attributes that could load or run something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.dangers: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "line", "rect"):
            self.open.append(tag)
        self.dangers += [(tag, name) for name, _ in attrs if name in ("src", "href", "style") or name.startswith("on")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "rect" and tag != "line":
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def page_of(text: str) -> _Page:
    page = _Page()
    page.feed(text)
    page.close()
    assert page.open == [], "every element is closed"
    return page


def test_a_report_is_one_file_that_needs_nothing_else(commctl: Run, server: ScriptedServer, tmp_path: Path) -> None:
    stories.script(server)
    file = tmp_path / "report.html"
    result = commctl("operation", "report", "7", "--output", str(file))
    assert (result.code, result.out) == (0, "")
    page = page_of(file.read_text())
    assert page.dangers == []
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert "://" not in file.read_text()
    text = " ".join(" ".join(page.text).split())
    for words in (
        "upgrade of cluster web, operation 7: failed", "its server vanished; it goes on where it was",
        "E: You don't have enough free space in /var/cache/apt/archives/", "brand-new new: 3",
    ):  # fmt: skip
        assert words in text
    assert page.tags.count("rect") == sum(len(host["phases"]) for host in stories.HOSTS)
    assert text.index("10.0.0.2: failed") < text.index("10.0.0.1: finished"), "hosts that failed come first"


def test_a_report_without_a_file_goes_to_standard_output(commctl: Run, server: ScriptedServer) -> None:
    stories.script(server)
    assert commctl("operation", "report", "7").out.startswith("<!DOCTYPE html>")


def test_a_report_that_can_not_be_written_says_so(commctl: Run, server: ScriptedServer, tmp_path: Path) -> None:
    stories.script(server)
    result = commctl("operation", "report", "7", "-o", str(tmp_path / "none" / "report.html"))
    assert result.code == 2
    assert "can't be written to" in result.err
    assert "No such file or directory" in result.err


def test_what_hosts_say_is_only_text_in_a_report(commctl: Run, server: ScriptedServer) -> None:
    phases = [stories.phase(HOSTILE, 1, 2, "failed", message=HOSTILE)]
    hosts = [stories.host(HOSTILE, "failed", *phases, message=HOSTILE)]
    events = [{"time": stories.at(1), "state": "failed", "attempt": 1, "message": HOSTILE}]
    operation = stories.operation(message=HOSTILE, requested_by=HOSTILE, cluster=HOSTILE)
    data = {
        HOSTILE: {
            "packages_changed": 1, "packages": [{"name": HOSTILE, "before": HOSTILE, "after": HOSTILE}],
            "unfinished": HOSTILE, "reboot_seconds": HOSTILE, "deployment_after": {"version": HOSTILE},
        }
    }  # fmt: skip
    timeline = {**stories.TIMELINE, "operation": operation, "events": events, "hosts": hosts}
    stories.script(server, timeline, data, [stories.failure(1, HOSTILE, 2, HOSTILE, HOSTILE)])
    out = commctl("operation", "report", "7").out
    page = page_of(out)
    assert page.dangers == []
    assert not {"script", "img"} & set(page.tags)
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "49" not in out.replace("3d444d", ""), "no template is evaluated"
    assert "".join(page.text).count("<script>alert(1)</script>") >= 12
