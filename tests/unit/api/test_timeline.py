"""The timeline of an operation, from tables of journal entries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from commissaire.fleet.timeline import Entry, SpanState, Timeline, tell
from commissaire.records import EventType, OperationHostState

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
Told = list[tuple[str, float, float | None, str, int]]


def operation(second: float, state: str, attempt: int, message: str = "") -> Entry:
    return Entry(START + timedelta(seconds=second), EventType.OPERATION, None, None, message, state, attempt)


def host(second: float, phase: str, state: str = "running", message: str = "", address: str = "a") -> Entry:
    return Entry(START + timedelta(seconds=second), EventType.CHECKPOINT, address, phase, message, state, None)


def second(time: datetime | None) -> float | None:
    return None if time is None else (time - START).total_seconds()


def told(timeline: Timeline, address: str = "a") -> Told:
    """Return a host's spans as (phase, begin, end, state, attempt)."""
    return [
        (span.phase, second(span.began_at) or 0.0, second(span.ended_at), str(span.state), span.attempt)
        for span in timeline.hosts[address]
    ]


BEGUN = [operation(0, "queued", 0, "restart asked for by admin"), operation(1, "running", 1, "running")]

CASES: dict[str, tuple[list[Entry], Told]] = {
    "nothing before it runs": ([operation(0, "queued", 0)], []),
    "a host waits for its turn": (BEGUN, [("waiting", 1, None, "running", 1)]),
    "a phase lasts until the next": (
        [*BEGUN, host(3, "checking"), host(4, "rebooting")],
        [
            ("waiting", 1, 3, "finished", 1),
            ("checking", 3, 4, "finished", 1),
            ("rebooting", 4, None, "running", 1),
        ],
    ),
    "the report of the end is no phase of its own": (
        [*BEGUN, host(3, "rebooting"), host(9, "done", "finished")],
        [("waiting", 1, 3, "finished", 1), ("rebooting", 3, 9, "finished", 1)],
    ),
    "a phase reported twice is one": (
        [*BEGUN, host(3, "rebooting"), host(5, "rebooting"), host(9, "done", "finished")],
        [("waiting", 1, 3, "finished", 1), ("rebooting", 3, 9, "finished", 1)],
    ),
    "a failure in the phase that was reported": (
        [*BEGUN, host(3, "rebooting"), host(9, "rebooting", "failed")],
        [("waiting", 1, 3, "finished", 1), ("rebooting", 3, 9, "failed", 1)],
    ),
    "a failure in a phase that nobody had reported": (
        [*BEGUN, host(3, "checking"), host(9, "upgrading", "failed")],
        [
            ("waiting", 1, 3, "finished", 1),
            ("checking", 3, 9, "finished", 1),
            ("upgrading", 9, 9, "failed", 1),
        ],
    ),
    "unreachable before its first report": (
        [*BEGUN, host(5, "", "failed")],
        [("waiting", 1, 5, "failed", 1)],
    ),
    "refused its turn": ([*BEGUN, host(5, "waiting", "not_started")], [("waiting", 1, 5, "not_started", 1)]),
    "a failure and nothing else": ([host(5, "credentials", "failed")], [("credentials", 5, 5, "failed", 0)]),
    "a crash interrupts the phase, and the next attempt begins by waiting": (
        [
            *BEGUN, host(3, "rebooting"), operation(20, "queued", 1, "its server vanished"),
            operation(21, "running", 2, "resumed, attempt 2"), host(22, "checking"), host(23, "done", "finished"),
        ],
        [
            ("waiting", 1, 3, "finished", 1), ("rebooting", 3, 20, "interrupted", 1),
            ("waiting", 21, 22, "finished", 2), ("checking", 22, 23, "finished", 2),
        ],
    ),
    "a crash while it waits": (
        [*BEGUN, operation(20, "queued", 1), operation(21, "running", 2)],
        [("waiting", 1, 20, "pending", 1), ("waiting", 21, None, "running", 2)],
    ),
    "who has ended does not wait again": (
        [
            *BEGUN, host(3, "rebooting"), host(4, "done", "finished"), operation(20, "queued", 1),
            operation(21, "running", 2),
        ],
        [("waiting", 1, 3, "finished", 1), ("rebooting", 3, 4, "finished", 1)],
    ),
    "held back by a pause, and resumed": (
        [
            *BEGUN, operation(2, "running", 1, "paused by admin"), host(3, "waiting", "pending", "paused by admin"),
            operation(4, "paused", 1), operation(30, "queued", 1, "resumed by admin"), operation(31, "running", 2),
            host(32, "checking"),
        ],
        [
            ("waiting", 1, 3, "pending", 1), ("waiting", 31, 32, "finished", 2), ("checking", 32, None, "running", 2),
        ],
    ),
    "cancelled at work, told by the host's report": (
        [*BEGUN, host(3, "rebooting"), host(6, "rebooting", "cancelled"), operation(7, "cancelled", 1)],
        [("waiting", 1, 3, "finished", 1), ("rebooting", 3, 6, "cancelled", 1)],
    ),
    "cancelled at work, told by the operation alone": (
        [*BEGUN, host(3, "rebooting"), operation(7, "cancelled", 1)],
        [("waiting", 1, 3, "finished", 1), ("rebooting", 3, 7, "cancelled", 1)],
    ),
    "an operation that failed at work": (
        [*BEGUN, host(3, "rebooting"), operation(7, "failed", 1)],
        [("waiting", 1, 3, "finished", 1), ("rebooting", 3, 7, "failed", 1)],
    ),
    "an operation that ended before the turn": (
        [*BEGUN, operation(7, "cancelled", 1)],
        [("waiting", 1, 7, "not_started", 1)],
    ),
    "a host that is skipped in a phase that it did not report": (
        [*BEGUN, host(3, "checking", "skipped")],
        [("waiting", 1, 3, "finished", 1), ("checking", 3, 3, "skipped", 1)],
    ),
    "no phase ends before it begins, whatever the clocks say": (
        [*BEGUN, host(0.5, "checking"), host(0.7, "done", "finished")],
        [("waiting", 1, 1, "finished", 1), ("checking", 1, 1, "finished", 1)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_hosts_phases_are_told_from_the_journal(case: str) -> None:
    entries, expected = CASES[case]
    assert told(tell(entries, ["a"])) == expected


def test_every_state_of_a_host_can_end_a_phase() -> None:
    assert set(OperationHostState) <= set(SpanState)


def test_hosts_do_not_mix_and_strangers_are_left_out() -> None:
    entries = [*BEGUN, host(2, "checking"), host(3, "rebooting", address="b"), host(4, "checking", address="stranger")]
    timeline = tell(entries, ["a", "b"])
    assert list(timeline.hosts) == ["a", "b"]
    assert [span[0] for span in told(timeline, "b")] == ["waiting", "rebooting"]


def test_a_phase_keeps_the_last_words_said_in_it() -> None:
    entries = [*BEGUN, host(3, "rebooting", message="order given"), host(4, "rebooting"), host(9, "done", "finished")]
    assert tell(entries, ["a"]).hosts["a"][1].message == "order given"
    entries[-1] = host(9, "rebooting", "failed", "no answer for 600 s")
    assert tell(entries, ["a"]).hosts["a"][1].message == "no answer for 600 s"


def test_the_operations_own_events_are_marks() -> None:
    marks = tell([*BEGUN, host(3, "checking"), operation(9, "failed", 1, "a: broken")], ["a"]).marks
    assert [(second(mark.time), mark.state, mark.attempt, mark.message) for mark in marks] == [
        (0, "queued", 0, "restart asked for by admin"),
        (1, "running", 1, "running"),
        (9, "failed", 1, "a: broken"),
    ]
