"""The serial console of a machine, over a stream of libvirt's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from commissaire.fleet.errors import Conflict
from commissaire.machines.link import bindings

_CHUNK = 16 * 1024
_MOST_UNSENT = 64 * 1024


class Console:
    """One opened console. *on_bytes* is called with what the machine says, *on_end* once when it says no more.

    Both are called in libvirt's event thread, so they must return at once. Its methods may be called from any thread.
    """

    def __init__(self, stream: Any, on_bytes: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        self._stream = stream
        self._on_bytes = on_bytes
        self._on_end = on_end
        self._unsent = bytearray()
        self._open = True
        self._lock = threading.RLock()  # libvirt may call back from within a call
        libvirt = bindings()
        self._over = libvirt.VIR_STREAM_EVENT_ERROR | libvirt.VIR_STREAM_EVENT_HANGUP
        self._reading = libvirt.VIR_STREAM_EVENT_READABLE | self._over
        self._writing = libvirt.VIR_STREAM_EVENT_WRITABLE
        stream.eventAddCallback(self._reading, self._on_event, None)

    def write(self, data: bytes) -> bool:
        """Type *data*; False when the machine takes no more just now, and it is dropped."""
        with self._lock:
            if not self._open or len(self._unsent) + len(data) > _MOST_UNSENT:
                return False
            self._unsent += data
            self._stream.eventUpdateCallback(self._reading | self._writing)
            return True

    def close(self) -> None:
        """Let others have the console."""
        libvirt = bindings()
        with self._lock:
            if not self._open:
                return
            self._open = False
            try:
                self._stream.eventRemoveCallback()
                self._stream.abort()
            except libvirt.libvirtError:  # it is broken anyway
                return

    def _on_event(self, _stream: Any, events: int, _opaque: Any) -> None:
        libvirt = bindings()
        with self._lock:
            if not self._open:
                return
            try:
                ended = bool(events & libvirt.VIR_STREAM_EVENT_READABLE) and self._receive()
                if events & self._writing:
                    self._send()
            except libvirt.libvirtError:
                ended = True
            if ended or events & self._over:
                self.close()
                self._on_end()

    def _receive(self) -> bool:
        """Take what the machine said; return whether that was all."""
        data = self._stream.recv(_CHUNK)
        if data == b"":
            return True
        if data != -2:  # nothing just now
            self._on_bytes(data)
        return False

    def _send(self) -> None:
        sent = self._stream.send(bytes(self._unsent))
        if sent > 0:
            del self._unsent[:sent]
        if not self._unsent:
            self._stream.eventUpdateCallback(self._reading)


def open_console(domain: Any, on_bytes: Callable[[bytes], None], on_end: Callable[[], None]) -> Console:
    """Open the console of a machine that is on.

    Raises:
        Conflict: it is off, has none, or somebody else has it.
    """
    libvirt = bindings()
    if not domain.isActive():
        raise Conflict(f"machine {domain.name()} is off, so its console says nothing; start it")
    stream = domain.connect().newStream(libvirt.VIR_STREAM_NONBLOCK)
    refusals = (libvirt.VIR_ERR_OPERATION_FAILED, libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_ERR_NO_SUPPORT)
    try:
        domain.openConsole(None, stream, 0)
    except libvirt.libvirtError as error:
        if error.get_error_code() in refusals:
            raise Conflict(f"the console of machine {domain.name()} can't be had: {error}") from error
        raise
    return Console(stream, on_bytes, on_end)
