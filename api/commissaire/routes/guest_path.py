"""Paths of files in machines, as requests name them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query

from commissaire.fleet.errors import Invalid

_LONGEST_BYTES = 4095


def check_guest_path(path: str) -> str:
    """Return *path* when it can be that of a file: absolute, in one form only, and harmless in records and logs.

    Raises:
        Invalid: it can't.
    """
    if not path.isprintable() or "\ufffd" in path:
        raise Invalid("path holds control characters, or bytes that are no UTF-8")
    if not path.startswith("/"):
        raise Invalid("path must be absolute, such as /etc/motd")
    if len(path.encode()) > _LONGEST_BYTES:
        raise Invalid(f"path is longer than {_LONGEST_BYTES} bytes")
    names = path.split("/")[1:]
    if not all(names) or not {".", ".."}.isdisjoint(names):
        raise Invalid("path must be that of a file, without empty parts, `.` and `..`")
    return path


async def _path(
    path: Annotated[
        str, Query(min_length=2, max_length=4096, description="The file's absolute path, percent-encoded.")
    ],
) -> str:
    return check_guest_path(path)


GuestPath = Annotated[str, Depends(_path)]
