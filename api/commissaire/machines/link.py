"""A hypervisor's libvirt, of which every call has a time limit: one that hangs harms nobody but its own caller."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from commissaire.machines.errors import HypervisorFailed

T = TypeVar("T")
CALL_SECONDS = 10.0
_REST_SECONDS = 10.0
"""So long one that did not answer in time is not asked again."""
_AT_ONCE = 16
"""Calls under way to one hypervisor; those that hang keep their place."""
_KEEPALIVE = (5, 3)
_started = threading.Event()
_lock = threading.Lock()


def bindings() -> Any:
    """Return the module libvirt, with its event loop running.

    Raises:
        HypervisorFailed: it is not installed.
    """
    try:
        libvirt = importlib.import_module("libvirt")
    except ImportError as error:
        raise HypervisorFailed(
            "this server has no libvirt-python; install libvirt's headers (Debian's libvirt-dev), "
            "then pip install 'commissaire[libvirt]'"
        ) from error
    with _lock:
        if not _started.is_set():
            libvirt.registerErrorHandler(lambda *_: None, None)  # it would print each error
            libvirt.virEventRegisterDefaultImpl()
            threading.Thread(target=_run_events, args=(libvirt,), name="libvirt-events", daemon=True).start()
            _started.set()
    return libvirt


class Link:
    """The connection to one hypervisor, opened when it is needed; `name` is what errors call it."""

    def __init__(self, name: str, uri: str, *, read_only: bool = False) -> None:
        self.name = name
        self.uri = uri
        self._read_only = read_only
        self._connection: Any = None
        self._opening = threading.Lock()
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        self._rests_until = 0.0

    def call(self, ask: Callable[[Any], T], *, seconds: float = CALL_SECONDS, rests: bool = True) -> T:
        """Return what *ask* returns, called with the connection in a thread of its own.

        When it does not answer in time the hypervisor rests: others don't wait for it, too. Not so with *rests* False,
        for what a guest can hold up.

        Raises:
            HypervisorFailed: it can't be reached, does not answer in time, or answers with an error.
        """
        libvirt = bindings()
        if time.monotonic() < self._rests_until:
            raise HypervisorFailed(f"hypervisor {self.name} did not answer in time just now; try again in some seconds")
        if not self._places.acquire(blocking=False):
            raise HypervisorFailed(f"hypervisor {self.name} has not answered {_AT_ONCE} calls yet; try again later")
        done = threading.Event()
        answer: list[Any] = []
        failure: list[BaseException] = []

        def work() -> None:
            try:
                answer.append(ask(self._connected(libvirt)))
            except BaseException as error:
                failure.append(error)
            finally:
                self._places.release()
                done.set()

        threading.Thread(target=work, name=f"hypervisor {self.name}", daemon=True).start()
        if not done.wait(seconds):
            if rests:
                self._rests_until = time.monotonic() + _REST_SECONDS
            raise HypervisorFailed(f"hypervisor {self.name} did not answer within {seconds:g} s")
        if not failure:
            return answer[0]  # type: ignore[no-any-return]
        if isinstance(failure[0], libvirt.libvirtError):
            raise HypervisorFailed(f"hypervisor {self.name}: {failure[0]}") from failure[0]
        raise failure[0]

    def close(self) -> None:
        """Let go of the connection, without waiting for anything."""
        connection, self._connection = self._connection, None
        if connection is not None:
            threading.Thread(target=_close, args=(connection,), daemon=True).start()

    def _connected(self, libvirt: Any) -> Any:
        with self._opening:
            if self._connection is not None and not self._connection.isAlive():
                _close(self._connection)
                self._connection = None
            if self._connection is None:
                opener = libvirt.openReadOnly if self._read_only else libvirt.open
                self._connection = opener(self.uri)
                if "+" in self.uri.partition(":")[0]:
                    self._connection.setKeepAlive(*_KEEPALIVE)
            return self._connection


def _close(connection: Any) -> None:
    try:
        connection.close()
    except bindings().libvirtError:  # it was broken anyway
        return


def _run_events(libvirt: Any) -> None:
    while True:
        libvirt.virEventRunDefaultImpl()
