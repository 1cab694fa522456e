"""The loop."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from singularity.loop import MANY, Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGHUP)}
    yield Loop()
    signal.set_wakeup_fd(-1)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_timers_are_called_in_their_order(loop: Loop) -> None:
    called: list[int] = []
    loop.later(0.02, loop.stop)
    loop.later(0.01, lambda: called.append(3))
    loop.later(0, lambda: called.append(1))
    loop.later(0, lambda: called.append(2))
    loop.run()
    assert called == [1, 2, 3]


def test_a_timer_that_is_cancelled_is_not_called(loop: Loop) -> None:
    called: list[int] = []
    loop.later(0, lambda: called.append(1)).cancel()
    loop.later(0.01, loop.stop)
    loop.run()
    assert called == []


def test_timers_that_are_cancelled_are_not_kept_until_their_time(loop: Loop) -> None:
    called: list[int] = []
    loop.later(0.01, lambda: (called.append(1), loop.stop()))
    for _ in range(10 * MANY):
        loop.later(3600, lambda: None).cancel()
    assert len(loop._timers) <= MANY
    loop.run()
    assert called == [1]


def test_who_asks_for_another_turn_leaves_others_theirs(loop: Loop) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"x")
    turns: list[int] = []

    def again() -> None:
        turns.append(1)
        loop.later(0, again)

    loop.later(0, again)
    loop.watch(reader, loop.stop)
    loop.run()
    assert len(turns) <= 2


def test_what_a_callback_raises_ends_nothing(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ValueError("secret")

    loop.later(0, fail)
    loop.later(0.01, loop.stop)
    loop.run()
    assert "secret" not in caplog.text


def test_a_signal_is_answered_in_the_loop(loop: Loop) -> None:
    called: list[str] = []
    loop.on_signal(signal.SIGHUP, lambda: called.append("hup"))
    loop.on_signal(signal.SIGUSR1, loop.stop)
    loop.later(0, lambda: os.kill(os.getpid(), signal.SIGHUP))
    loop.later(0.02, lambda: os.kill(os.getpid(), signal.SIGUSR1))
    loop.run()
    assert called == ["hup"]


def test_a_descriptor_that_is_watched_no_more_is_not_told_of(loop: Loop) -> None:
    first, second = os.pipe(), os.pipe()
    for _, writer in (first, second):
        os.write(writer, b"x")
    called: list[int] = []

    def unwatch_both(fd: int) -> None:
        called.append(fd)
        for reader, _ in (first, second):
            loop.unwatch(reader)

    for reader, _ in (first, second):
        loop.watch(reader, lambda fd=reader: unwatch_both(fd))  # type: ignore[misc]
    loop.later(0.05, loop.stop)
    loop.run()
    assert len(called) == 1


def test_it_waits_without_work_while_nothing_happens(loop: Loop) -> None:
    reader, _writer = os.pipe()
    loop.watch(reader, lambda: None)
    loop.later(0.5, loop.stop)
    before = time.process_time()
    loop.run()
    assert time.process_time() - before < 0.05
