"""A loop of the agent's that runs beside a test."""

from __future__ import annotations

import threading
from collections.abc import Callable

from singularity.loop import Loop


class RunningLoop:
    """Runs a loop in a thread of its own, as long as the `with` lasts."""

    def __init__(self) -> None:
        self.loop = Loop()
        self._work: list[tuple[Callable[[], object], threading.Event]] = []
        self._thread = threading.Thread(target=self.loop.run, daemon=True)

    def __enter__(self) -> RunningLoop:
        self.loop.later(0.05, self._wake)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.do(self.loop.stop)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def do(self, work: Callable[[], object]) -> None:
        """Do something in the loop, and wait for the end of it."""
        done = threading.Event()
        self._work.append((work, done))
        assert done.wait(10)

    def _wake(self) -> None:
        while self._work:
            work, done = self._work.pop(0)
            work()
            done.set()
        self.loop.later(0.01, self._wake)
