"""The event stream's form, and the progress made of it."""

from __future__ import annotations

import pytest

from commissaire.commctl.events import Event, parse
from commissaire.commctl.live import select
from commissaire.commctl.progress import Progress, seconds

NOON = 1795435200.0  # 2026-11-23T12:00:00Z


@pytest.mark.parametrize(
    "stream",
    [
        b'id: 5\nevent: host\ndata: {"a": 1}\n\n',
        b'id:5\r\nevent:host\r\ndata:{"a": 1}\r\n\r\n',
        b': a comment\n\n\nretry: 10\nid: 5\nevent: host\ndata: {"a":\ndata: 1}\n\n',
        b'id: 5\nevent: host\ndata: {"a": 1}\n\nevent: host\ndata: no json\n\ndata: [1]\n\nevent: end\ndata: {"cut": o',
    ],
)
def test_events_are_read_in_every_form_and_in_any_pieces(stream: bytes) -> None:
    expected = [Event("host", {"a": 1}, "5")]
    assert list(parse([stream])) == expected
    assert list(parse(stream[at : at + 1] for at in range(len(stream)))) == expected


def test_line_ends_of_unicode_do_not_end_a_line() -> None:
    text = "a\u2028b\u0085c"
    assert list(parse([f'event: host\ndata: {{"m": "{text}"}}\n\n'.encode()])) == [Event("host", {"m": text}, "")]


def test_only_news_of_a_host_is_news() -> None:
    progress = Progress({})
    row = {"address": "a", "state": "running", "phase": "checking", "message": ""}
    assert progress.apply(Event("host", row)) == row
    assert progress.apply(Event("host", {**row, "data": {}})) is None
    assert progress.apply(Event("host", {**row, "phase": "rebooting"})) is not None
    assert progress.apply(Event("something", {})) is None


def test_hosts_not_heard_of_are_pending() -> None:
    progress = Progress({"state": "running", "hosts": {"total": 10}})
    progress.apply(Event("host", {"address": "a", "state": "running"}))
    progress.apply(Event("host", {"address": "b", "state": "pending"}))
    counts = progress.counts()
    assert (counts["running"], counts["pending"]) == (1, 9)


@pytest.mark.parametrize(
    ("begun", "ended", "expected"),
    [
        (None, None, None),
        ("2026-11-23T11:59:50.500000Z", None, 9.5),
        ("2026-11-23T11:59:50Z", "2026-11-23T11:59:51Z", 1.0),
        ("2026-11-23T12:00:05Z", None, 0.0),
    ],
)
def test_seconds_run_until_the_end(begun: str | None, ended: str | None, expected: float | None) -> None:
    assert seconds({"started_at": begun, "finished_at": ended}, NOON) == expected


def test_hosts_that_do_not_fit_leave_room_for_those_that_matter() -> None:
    def row(address: str, state: str, begun: str | None = None) -> dict[str, str | None]:
        return {"address": address, "state": state, "started_at": begun}

    rows = [row("a", "finished"), row("b", "failed"), row("c", "running", "2"), row("d", "running", "1")]
    assert select(rows, 4) == rows
    assert [one["address"] for one in select([*rows, row("e", "pending")], 4)] == ["d", "c", "b"]
    assert [one["address"] for one in select(rows, 2)] == ["d", "c"]
