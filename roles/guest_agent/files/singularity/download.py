"""Files from the web, fetched by a process of their own, so that the daemon stays small and can give up in time."""

from __future__ import annotations

import os
import select
import signal
import time
from typing import Callable

from singularity.errors import Refused, reason

SCHEMES = ("http", "https", "file")


def fetch(url: str, path: str, most: int, seconds: float) -> None:
    """Write what lies at *url* to *path*, *most* bytes at most, within so many *seconds*. Raises Refused."""
    scheme = url.partition(":")[0].lower()
    if scheme not in SCHEMES:
        raise Refused(f"{scheme or url} can't be fetched from: a URL begins with {', '.join(SCHEMES)}")
    said = _in_child(lambda: _fetch(url, path, most, seconds), seconds)
    if said:
        raise Refused(f"The new version can't be fetched: {said}")


def _in_child(work: Callable[[], None], seconds: float) -> str:
    """Run *work* in a child, and return what went wrong; empty where nothing did."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        said = "it failed"
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            work()
            said = ""
        except BaseException as error:
            said = str(getattr(error, "reason", "")) or reason(error)
        finally:
            os.write(writer, said.encode("utf-8", "replace")[:1000])
            os._exit(0)
    os.close(writer)
    try:
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        if poll.poll(seconds * 1000):
            return os.read(reader, 1000).decode("utf-8", "replace")
        return f"not within {seconds:g} s"
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _fetch(url: str, path: str, most: int, seconds: float) -> None:
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
    except ValueError:
        raise Refused("it is no URL") from None
