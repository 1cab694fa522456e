"""Calls in a child, which goes: so does what it loaded, and what it knew."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any, Callable

from singularity.errors import Refused, place

_DONE, _REFUSED, _FAILED = b"0", b"1", b"2"


def call(function: Callable[..., bytes], *arguments: Any) -> bytes:
    """Return what *function* returns. Raises Refused where it does, and RuntimeError where it fails otherwise."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reader)
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(_say(function, arguments))
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    with suppress(ChildProcessError):  # somebody waits for all children
        os.waitpid(child, 0)
    if said[:1] == _DONE:
        return said[1:]
    if said[:1] == _REFUSED:
        raise Refused(said[1:].decode())
    raise RuntimeError(said[1:].decode() or "a child was killed")


def _say(function: Callable[..., bytes], arguments: Any) -> bytes:
    try:
        return _DONE + function(*arguments)
    except Refused as error:
        return _REFUSED + error.message.encode()
    except Exception as error:
        return _FAILED + f"{type(error).__name__} at {place(error)}".encode()
