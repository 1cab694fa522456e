"""Xen's own client library, libxenstore: what a toolstack in domain 0 uses, and no code of ours."""

import ctypes
import errno
import functools
import os
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

_LIBRARY = "libxenstore.so.4"
_Result = TypeVar("_Result")
_opening = threading.Lock()


class Connection:
    """A connection to one xenstored: `with Connection(socket) as connection:`. Values are bytes.

    Every method raises OSError with xenstored's own error. It is not made for several threads.
    """

    def __init__(self, socket: Path) -> None:
        with _opening, _variable("XENSTORED_PATH", str(socket)):
            self._handle = _check(_library().xs_open(0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        _library().xs_close(self._handle)

    def read(self, path: str) -> bytes | None:
        """Return a node's value; None without that node."""
        size = ctypes.c_uint()
        found = _library().xs_read(self._handle, 0, path.encode(), ctypes.byref(size))
        if not found:
            return _unless_absent(None)
        try:
            return ctypes.string_at(found, size.value)
        finally:
            _library().free(found)

    def write(self, path: str, value: bytes) -> None:
        _check(_library().xs_write(self._handle, 0, path.encode(), value, len(value)))

    def remove(self, path: str) -> None:
        """Remove a node and all below it."""
        _check(_library().xs_rm(self._handle, 0, path.encode()))

    def children(self, path: str) -> list[str]:
        """Return the names of the nodes below one; none where there is none."""
        number = ctypes.c_uint()
        found = _library().xs_directory(self._handle, 0, path.encode(), ctypes.byref(number))
        if not found:
            return _unless_absent([])
        try:
            names = ctypes.cast(found, ctypes.POINTER(ctypes.c_char_p))
            return [(names[index] or b"").decode() for index in range(number.value)]
        finally:
            _library().free(found)

    def introduce(self, domid: int, port: int) -> None:
        """Tell xenstored of a new domain, whose event channel has that port."""
        _check(_library().xs_introduce_domain(self._handle, domid, 1, port))

    def watch(self, path: str) -> None:
        """Have `wait` told of each change at or below `path`, and once at first."""
        _check(_library().xs_watch(self._handle, path.encode(), b"watch"))

    def unwatch(self, path: str) -> None:
        _check(_library().xs_unwatch(self._handle, path.encode(), b"watch"))

    def wait(self, seconds: float) -> str | None:
        """Return the path of the next change of what is watched; None when there is none for so long."""
        if not select.select([_library().xs_fileno(self._handle)], [], [], seconds)[0]:
            return None
        found = _library().xs_check_watch(self._handle)
        if not found:
            return None
        try:
            return (ctypes.cast(found, ctypes.POINTER(ctypes.c_char_p))[0] or b"").decode()
        finally:
            _library().free(found)


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(_LIBRARY, use_errno=True)
    pointer = ctypes.c_void_p
    library.xs_open.restype = pointer
    library.xs_open.argtypes = [ctypes.c_ulong]
    library.xs_close.argtypes = [pointer]
    library.xs_read.restype = library.xs_directory.restype = library.xs_check_watch.restype = pointer
    library.xs_read.argtypes = library.xs_directory.argtypes = [pointer, ctypes.c_uint32, ctypes.c_char_p, pointer]
    library.xs_write.argtypes = [pointer, ctypes.c_uint32, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint]
    library.xs_rm.argtypes = [pointer, ctypes.c_uint32, ctypes.c_char_p]
    library.xs_introduce_domain.argtypes = [pointer, ctypes.c_uint, ctypes.c_ulong, ctypes.c_uint]
    library.xs_watch.argtypes = library.xs_unwatch.argtypes = [pointer, ctypes.c_char_p, ctypes.c_char_p]
    library.xs_fileno.argtypes = library.xs_check_watch.argtypes = [pointer]
    for name in ("xs_write", "xs_rm", "xs_introduce_domain", "xs_watch", "xs_unwatch"):
        getattr(library, name).restype = ctypes.c_bool
    library.free.argtypes = [pointer]
    return library


def _check(result: _Result) -> _Result:
    if not result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _unless_absent(otherwise: _Result) -> _Result:
    if ctypes.get_errno() != errno.ENOENT:
        _check(None)
    return otherwise


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
