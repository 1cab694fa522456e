"""How far the bytes of a file are, on one line of a terminal."""

from __future__ import annotations

import sys

_LARGE_BYTES = 256 * 1024


class Transfer:
    """Tells of a large file on standard error, where that is a terminal; of others nothing."""

    def __init__(self, verb: str, then: str = "") -> None:
        self._verb = verb
        self._then = then
        self._shown = False

    def __call__(self, done: int, total: int) -> None:
        """Tell that *done* bytes of *total* are through; a total of 0 is not known."""
        if max(done, total) < _LARGE_BYTES or not sys.stderr.isatty():
            return
        self._shown = True
        share = f" of {_mib(total)}" if total else ""
        then = f", {self._then}" if self._then and done == total else ""
        print(f"\r{self._verb} {_mib(done)}{share} MiB{then}\x1b[K", end="", file=sys.stderr, flush=True)  # noqa: T201

    def end(self) -> None:
        """Leave the line."""
        if self._shown:
            print(file=sys.stderr, flush=True)  # noqa: T201


def _mib(count: int) -> str:
    return f"{count / 1024 / 1024:.1f}"
