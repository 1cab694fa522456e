"""Files from the web."""

from __future__ import annotations

import os
import time

from singularity.child import in_child
from singularity.errors import Refused

SCHEMES = ("http", "https", "file")


def fetch(url: str, path: str, most: int, seconds: float) -> None:
    """Write what lies at *url* to *path*, *most* bytes at most, within so many *seconds*. Raises Refused."""
    scheme = url.partition(":")[0].lower()
    if scheme not in SCHEMES:
        raise Refused(f"{scheme or url} can't be fetched from: a URL begins with {', '.join(SCHEMES)}")
    try:
        in_child(lambda: _fetch(url, path, most, seconds), seconds)
    except Refused as error:
        raise Refused(f"The new version can't be fetched: {error.message}") from None


def _fetch(url: str, path: str, most: int, seconds: float) -> bytes:
    deadline = time.monotonic() + seconds
    with _open(url, seconds) as source, open(path, "wb") as target:
        size = 0
        while True:
            piece = source.read(65536)
            if not piece:
                break
            size += len(piece)
            if size > most:
                raise Refused(f"it is larger than {most} bytes")
            if time.monotonic() > deadline:
                raise Refused(f"not within {seconds:g} s")
            target.write(piece)
        target.flush()
        os.fsync(target.fileno())
    return b""


def _open(url: str, seconds: float):  # type: ignore[no-untyped-def]
    from urllib import error, request

    opener = request.OpenerDirector()
    for name in ("ProxyHandler", "HTTPHandler", "HTTPSHandler", "FileHandler", "UnknownHandler"):
        if hasattr(request, name):  # a Python without ssl has no HTTPSHandler
            opener.add_handler(getattr(request, name)())
    for handler in (request.HTTPDefaultErrorHandler, request.HTTPRedirectHandler, request.HTTPErrorProcessor):
        opener.add_handler(handler())
    try:
        return opener.open(url, timeout=seconds)
    except error.HTTPError as answer:
        raise Refused(f"the server answers {answer.code}") from None
    except error.URLError as failure:
        raise Refused(str(failure.reason)) from None
    except ValueError:
        raise Refused("it is no URL") from None
