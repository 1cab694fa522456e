"""The hypervisors of this server, each with its connection; many are asked at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import Any, TypeVar

from commissaire.machines.errors import HypervisorFailed
from commissaire.machines.link import CALL_SECONDS, Link
from commissaire.machines.way import Ways, without_credentials

T = TypeVar("T")
_AT_ONCE = 64
_GRACE_SECONDS = 1.0


class Hypervisors:
    """Connections by name and URI, opened by *ways*. Thread-safe."""

    def __init__(self, ways: Ways = without_credentials) -> None:
        self._ways = ways
        self._lock = threading.Lock()
        self._links: dict[tuple[str, str, bool], Link] = {}
        self._pool = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="hypervisors")

    def link(self, name: str, uri: str, *, read_only: bool = False) -> Link:
        """Return the connection to a hypervisor, which is opened at its first call."""
        key = (name, uri, read_only)
        with self._lock:
            if key not in self._links:
                for old in [old for old in self._links if old[0] == name and old[1] != uri]:
                    self._links.pop(old).close()
                self._links[key] = Link(name, uri, read_only=read_only, ways=self._ways)
            return self._links[key]

    def forget(self, name: str) -> None:
        """Let go of the connections to a hypervisor that is not to be asked any more."""
        with self._lock:
            for key in [key for key in self._links if key[0] == name]:
                self._links.pop(key).close()

    def ask_all(
        self, links: Iterable[Link], ask: Callable[[Link, Any], T], *, seconds: float = CALL_SECONDS
    ) -> tuple[dict[str, T], dict[str, str]]:
        """Ask all of them at once; return the answers, and why the others did not give one, by name.

        It takes hardly longer than *seconds*, however many they are.
        """
        deadline = time.monotonic() + seconds + _GRACE_SECONDS
        asked = {
            link.name: self._pool.submit(
                link.call, lambda connection, link=link: ask(link, connection), seconds=seconds
            )
            for link in links
        }
        answers: dict[str, T] = {}
        silent: dict[str, str] = {}
        for name, future in asked.items():
            try:
                answers[name] = future.result(max(0.0, deadline - time.monotonic()))
            except NotYet:
                future.cancel()
                silent[name] = f"hypervisor {name} was not asked: too many others do not answer; try again"
            except HypervisorFailed as error:
                silent[name] = str(error)
        return answers, silent

    def close(self) -> None:
        """Let go of all connections."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for link in self._links.values():
                link.close()
            self._links.clear()
