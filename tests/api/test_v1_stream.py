"""REST v1: the journal as a live stream."""

from __future__ import annotations

import json
import threading
from typing import Any

from api.conftest import Fleet, checkpoint


def messages(text: str) -> list[dict[str, Any]]:
    """Parse server-sent events: `[{"event", "id"?, "data"}]`."""
    found = []
    for block in text.replace("\r\n", "\n").strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            found.append({**fields, "data": json.loads(fields["data"])})
    return found


def finished(fleet: Fleet) -> int:
    """Run a restart of two hosts; return its id."""
    fleet.cluster("web", "10.0.0.1", "10.0.0.2")
    operation = fleet.restart()
    fleet.claim().write(
        [checkpoint("10.0.0.1", "done", "finished"), checkpoint("10.0.0.2", "rebooting", "failed", "no route\nto host")]
    )
    fleet.end(operation)
    return operation


def test_the_stream_of_an_ended_operation_tells_all_and_ends(fleet: Fleet) -> None:
    operation = finished(fleet)
    answer = fleet.client.get(f"/api/v1/operations/{operation}/events/stream")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    told = messages(answer.text)
    assert [message["event"] for message in told] == ["event"] * 5 + ["host"] * 2 + ["operation", "end"]
    events = fleet.client.get(f"/api/v1/operations/{operation}/events").json()["items"]
    assert [message["data"] for message in told[:5]] == events
    assert [message["id"] for message in told[:5]] == [str(event["seq"]) for event in events]
    hosts = fleet.client.get(f"/api/v1/operations/{operation}/hosts").json()["items"]
    assert [message["data"] for message in told[5:7]] == hosts
    shown = fleet.client.get(f"/api/v1/operations/{operation}").json()
    assert [message["data"] for message in told[7:]] == [shown, shown]


def test_a_client_that_comes_back_gets_what_it_missed(fleet: Fleet) -> None:
    path = f"/api/v1/operations/{finished(fleet)}/events"
    seen = fleet.client.get(path).json()["items"][-2]["seq"]
    for again in (
        fleet.client.get(f"{path}/stream", headers={"Last-Event-ID": str(seen)}),
        fleet.client.get(f"{path}/stream?after={seen}"),
    ):
        told = messages(again.text)
        assert [message["event"] for message in told] == ["event", "operation", "end"]
        assert told[0]["id"] == str(seen + 1)


def test_a_client_can_begin_with_what_happens_from_now_on(fleet: Fleet) -> None:
    path = f"/api/v1/operations/{finished(fleet)}/events"
    newest = fleet.client.get(path).json()["items"][-1]["seq"]
    told = messages(fleet.client.get(f"{path}/stream?from=now").text)
    assert [message["event"] for message in told] == ["operation", "end"]
    assert told[0]["id"] == str(newest), "where it goes on when the connection breaks before the next event"
    again = fleet.client.get(f"{path}/stream?from=now", headers={"Last-Event-ID": str(newest - 1)})
    assert [message["event"] for message in messages(again.text)] == ["event", "operation", "end"]


def test_a_last_event_id_that_is_none_is_as_good_as_none(fleet: Fleet) -> None:
    path = f"/api/v1/operations/{finished(fleet)}/events/stream"
    for text in ("x", "-1", "9" * 30, "1;DROP", ""):
        assert len(messages(fleet.client.get(path, headers={"Last-Event-ID": text}).text)) == 9
    assert fleet.client.get(f"{path}?after=-1").status_code == 400


def test_a_stream_tells_news_until_the_operation_ends(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    operation = fleet.restart()
    told: list[dict[str, Any]] = []

    def follow() -> None:
        told.extend(messages(fleet.client.get(f"/api/v1/operations/{operation}/events/stream").text))

    follower = threading.Thread(target=follow)
    follower.start()
    journal = fleet.claim()
    journal.write([checkpoint("10.0.0.1", "rebooting")])
    journal.write([checkpoint("10.0.0.1", "done", "finished")])
    fleet.end(operation)
    follower.join(10)
    assert not follower.is_alive()
    assert told[-1]["event"] == "end"
    assert told[-1]["data"]["state"] == "finished"
    hosts = [message["data"] for message in told if message["event"] == "host"]
    assert (hosts[-1]["state"], hosts[-1]["phase"]) == ("finished", "done")
    sequence = [int(message["id"]) for message in told if message["event"] == "event"]
    assert sequence == sorted(set(sequence))
