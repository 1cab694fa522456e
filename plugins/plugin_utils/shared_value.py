# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What one worker of a play finds out once for all of them; see place_file for where and why."""

from __future__ import annotations

import contextlib
import fcntl
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class SharedValue:
    """A value of one play that JSON can hold."""

    def __init__(self, directory: str, play: str, name: str) -> None:
        self._path = Path(directory) / f"commissaire-{name}-{play}.json"

    def get(self, make: Callable[[], Any]) -> Any:
        """Return the value; the first who asks makes it, and the others wait for that."""
        with self.locked():
            value = self.read()
            if value is None:
                value = make()
                self.write(value)
            return value

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep everybody else from it."""
        with self._path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def read(self) -> Any:
        """Return the value; None before there is one."""
        try:
            return json.loads(self._path.read_text())
        except FileNotFoundError:
            return None

    def write(self, value: Any) -> None:
        """Set the value, while it is `locked`."""
        self._path.write_text(json.dumps(value))
