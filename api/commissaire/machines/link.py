"""A hypervisor's libvirt, of which every call has a time limit: one that hangs harms nobody but its own caller."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from typing import Any, TypeVar

import structlog

from commissaire.machines.errors import HypervisorFailed
from commissaire.machines.way import Way, Ways, meaning, without_credentials

T = TypeVar("T")
CALL_SECONDS = 10.0
_REST_SECONDS = 10.0
"""So long one that did not answer in time is not asked again."""
_AT_ONCE = 16
"""Calls under way to one hypervisor; those that hang keep their place."""
_KEEPALIVE = (5, 3)
"""Seconds between questions whether the other side is there, and how many may stay unanswered."""
_OPENING_SECONDS = (30.0, 3600.0)
"""So long an opening may hang before another one is tried, at first and at most. Its thread never ends."""
log = structlog.get_logger(__name__)
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

    def __init__(self, name: str, uri: str, *, read_only: bool = False, ways: Ways = without_credentials) -> None:
        self.name = name
        self.uri = uri
        self._read_only = read_only
        self._ways = ways
        self._lock = threading.Lock()
        self._opening: Future[Any] | None = None
        self._opened_at = 0.0
        self._patience = _OPENING_SECONDS[0]
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
                answer.append(ask(self._connected(libvirt, min(seconds, CALL_SECONDS))))
            except BaseException as error:
                failure.append(error)
            finally:
                self._places.release()
                done.set()

        threading.Thread(target=work, name=f"hypervisor {self.name}", daemon=True).start()
        if not done.wait(seconds):
            if rests:
                self._rest()
            later = "" if rests else "; what it was asked to do may still happen"
            raise HypervisorFailed(f"hypervisor {self.name} did not answer within {seconds:g} s{later}")
        if not failure:
            return answer[0]  # type: ignore[no-any-return]
        if isinstance(failure[0], libvirt.libvirtError):
            raise HypervisorFailed(f"hypervisor {self.name}: {meaning(str(failure[0]))}") from failure[0]
        raise failure[0]

    def close(self) -> None:
        """Let go of the connection, without waiting for anything."""
        with self._lock:
            opening, self._opening = self._opening, None
        if opening is not None and opening.done() and opening.exception() is None:
            threading.Thread(target=_close, args=(opening.result(),), daemon=True).start()

    def _connected(self, libvirt: Any, seconds: float) -> Any:
        """Return the connection. Whoever waits for one that hangs gives up in time, and gives its place back."""
        with self._lock:
            if self._opening is not None and self._is_lost(libvirt, self._opening):
                self._opening = None
            if self._opening is None:
                self._opening, self._opened_at = Future(), time.monotonic()
                arguments = (libvirt, self._opening)
                threading.Thread(target=self._open, args=arguments, name=f"open {self.name}", daemon=True).start()
            opening = self._opening
        try:
            return opening.result(seconds)
        except NotYet:
            self._rest()
            raise HypervisorFailed(f"hypervisor {self.name} can't be connected to within {seconds:g} s") from None

    def _is_lost(self, libvirt: Any, opening: Future[Any]) -> bool:
        """Return whether there must be another connection: this one is broken, or hangs before it is one."""
        if not opening.done():
            hangs = time.monotonic() - self._opened_at > self._patience
            if hangs:
                self._patience = min(2 * self._patience, _OPENING_SECONDS[1])
            return hangs
        try:
            if opening.result().isAlive():
                return False
        except libvirt.libvirtError:
            pass
        threading.Thread(target=_close, args=(opening.result(),), daemon=True).start()
        return True

    def _open(self, libvirt: Any, opening: Future[Any]) -> None:
        try:
            with self._ways(self.name, self.uri) as way:
                connection = _opened(libvirt, way, self._read_only)
            _keep_alive(libvirt, connection)
        except BaseException as error:
            with self._lock:
                if self._opening is opening:
                    self._opening = None
            opening.set_exception(error)
            return
        with self._lock:
            opening.set_result(connection)
            wanted = self._opening is opening
            if wanted:
                self._patience = _OPENING_SECONDS[0]
        if not wanted:
            _close(connection)

    def _rest(self) -> None:
        self._rests_until = time.monotonic() + _REST_SECONDS


def _opened(libvirt: Any, way: Way, read_only: bool) -> Any:
    if not way.username:
        return (libvirt.openReadOnly if read_only else libvirt.open)(way.uri)
    answers = {libvirt.VIR_CRED_AUTHNAME: way.username, libvirt.VIR_CRED_PASSPHRASE: way.password}

    def answer(questions: list[list[Any]], _: object) -> int:
        for question in questions:
            question[4] = answers[question[0]]
        return 0

    return libvirt.openAuth(way.uri, [[*answers], answer, None], libvirt.VIR_CONNECT_RO if read_only else 0)


def _keep_alive(libvirt: Any, connection: Any) -> None:
    """Have a connection end that the other side left without a word; what hangs on it fails then."""
    try:
        connection.setKeepAlive(*_KEEPALIVE)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:  # there is no other side
            raise


def _close(connection: Any) -> None:
    try:
        connection.close()
    except bindings().libvirtError:  # it was broken anyway
        return


def _run_events(libvirt: Any) -> None:
    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except Exception:  # without this thread no keepalive is answered, and connections break
            log.exception("libvirt_events_failed")
            time.sleep(1)
