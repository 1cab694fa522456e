"""A guest's kernel for its programs: /dev/xen/xenbus on one side, a ring that xenstored shares on the other."""

import contextlib
import ctypes
import mmap
import os
import pty
import select
import socket
import struct
import tty
from pathlib import Path
from threading import Lock, Thread

_RING = 1024
_PAGE = 4096
_HEADER = struct.Struct("=IIII")  # type, request, transaction, length: xs_wire.h
_RESET_WATCHES = 21
_OWN = 0xFFFFFFFF
"""The number of the bridge's own requests, whose answers are nobody else's."""


class Domain:
    """A domain that xenstored knows. Programs talk to it at `path`, one at a time, in xenstored's own wire format.

    When one leaves a socket, its watches and transactions end, as a kernel sees to it. A device is for one program.
    """

    def __init__(self, directory: Path, domid: int, name: str, device: bool) -> None:
        self.domid, self.name = domid, name
        self._ring = _Ring(directory, domid)
        self._lock = Lock()
        self._end, self._ending = socket.socketpair()
        self._listener: socket.socket | None = None
        self._client: int | None = None
        self._files: list[int] = []
        if device:
            self._client, program = self._files = list(pty.openpty())
            tty.setraw(program)
            self.path = Path(os.ttyname(program))
        else:
            self.path = directory / f"{domid}.socket"
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(self.path))
            self._listener.listen()
        self._forget()
        self._thread = Thread(target=self._serve, name=f"xenbus of domain {domid}")
        self._thread.start()

    def reset(self) -> None:
        """Begin anew with a xenstored that has not met this domain: whoever is connected is cut off."""
        with self._lock:
            self._forget()
            self._ring.clear()
            if self._listener and self._client is not None:
                os.close(self._client)
                self._client = None

    def close(self) -> None:
        """End it all."""
        self._end.close()
        self._thread.join()
        self._ending.close()
        self.reset()
        for file in self._files:
            os.close(file)
        if self._listener:
            self._listener.close()
        self._ring.close()

    def _forget(self) -> None:
        self._requests, self._answers = b"", b""  # what is not whole yet
        self._to_daemon, self._to_client = b"", b""

    def _serve(self) -> None:
        while True:
            with self._lock:
                client = self._client
                writable = [client] if client is not None and self._to_client else []
            readable = [self._ring.event, self._ending, self._listener if client is None else client]
            ready, _, _ = select.select(readable, writable, [], 1)
            with self._lock:
                if self._ending in ready:
                    return
                if self._listener in ready and self._client is None:
                    self._client = self._listener.accept()[0].detach()
                elif client is not None and client == self._client:
                    if client in ready:
                        self._receive(client)
                    self._pass(client)
                self._turn()

    def _receive(self, client: int) -> None:
        try:
            data = os.read(client, 65536)
        except OSError:
            data = b""
        if data:
            messages, self._requests = _whole(self._requests + data)
            self._to_daemon += b"".join(messages)
        else:
            os.close(client)
            self._client, self._requests, self._to_client = None, b"", b""
            self._to_daemon += _HEADER.pack(_RESET_WATCHES, _OWN, 0, 1) + b"\0"

    def _pass(self, client: int) -> None:
        if self._client is not None and self._to_client:
            with contextlib.suppress(OSError):
                self._to_client = self._to_client[os.write(client, self._to_client[:4096]) :]

    def _turn(self) -> None:
        """Move what can be moved between the ring and the queues."""
        self._ring.hear()
        self._to_daemon = self._to_daemon[self._ring.put(self._to_daemon) :]
        while data := self._ring.take():
            messages, self._answers = _whole(self._answers + data)
            for message in messages:
                if self._client is not None and _HEADER.unpack_from(message)[1] != _OWN:
                    self._to_client += message


class _Ring:
    """The page that a domain shares with xenstored, and its event channel. See xenstored_shim.c for the files."""

    def __init__(self, directory: Path, domid: int) -> None:
        path = directory / f"{domid}.ring"
        path.write_bytes(bytes(_PAGE))
        with path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), _PAGE)
        self._indexes = (ctypes.c_uint32 * 4).from_buffer(
            self._page, 2 * _RING
        )  # written whole: struct writes by bytes
        self._daemon = str(directory / "event")
        self._port = domid.to_bytes(4, "little")
        self.event = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.event.bind(str(directory / f"{domid}.event"))

    def close(self) -> None:
        self.event.close()
        del self._indexes
        self._page.close()

    def clear(self) -> None:
        self._indexes[:] = [0, 0, 0, 0]

    def put(self, data: bytes) -> int:
        """Write what there is room for, and return how much."""
        consumed, produced = self._indexes[0], self._indexes[1]
        data = data[: _RING - (produced - consumed) % 2**32]
        for index, byte in enumerate(data, start=produced):
            self._page[index % _RING] = byte
        if data:
            self._indexes[1] = (produced + len(data)) % 2**32
            self._notify()
        return len(data)

    def take(self) -> bytes:
        """Return what the daemon wrote."""
        consumed, produced = self._indexes[2], self._indexes[3]
        data = bytes(
            self._page[_RING + index % _RING] for index in range(consumed, consumed + (produced - consumed) % 2**32)
        )
        if data:
            self._indexes[2] = produced
            self._notify()
        return data

    def hear(self) -> None:
        """Take notice of the daemon's notices, so that the next one is seen."""
        with contextlib.suppress(BlockingIOError):
            while self.event.recv(4):
                pass

    def _notify(self) -> None:
        with contextlib.suppress(OSError):  # no daemon, or one that has enough notices to look
            self.event.sendto(self._port, socket.MSG_DONTWAIT, self._daemon)


def _whole(data: bytes) -> tuple[list[bytes], bytes]:
    """Cut data into whole messages; return them and the rest."""
    messages = []
    while len(data) >= _HEADER.size and len(data) >= (size := _HEADER.size + _HEADER.unpack_from(data)[3]):
        messages.append(data[:size])
        data = data[size:]
    return messages, data
