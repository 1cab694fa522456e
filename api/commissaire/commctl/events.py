"""An operation's live stream: server-sent events, followed across broken connections."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from commissaire.commctl.errors import NoObjectError, NoServerError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from commissaire.commctl.client import Client

PATIENCE_SECONDS = 15.0
PACE_SECONDS = 1.0


@dataclass(frozen=True)
class Event:
    """One event: `host`, `operation` or `end` from the server with its decoded data; `lost` and `regained` are ours."""

    name: str
    data: dict[str, Any]
    id: str = ""


def follow(client: Client, operation_id: str, patience_seconds: float = PATIENCE_SECONDS) -> Iterator[Event]:
    """Yield the operation's events up to and including `end`.

    A stream that breaks is taken up again after the last event seen. `lost` is yielded once when that doesn't work at
    the first try, `regained` when it does again; after *patience_seconds* without success NoServerError is raised, and
    at once when the server could not be reached at all. RefusedError when the server doesn't know the operation.
    """
    last_id = ""
    down_since: float | None = None
    told = connected = False
    while True:
        tried = time.monotonic()
        try:
            with client.stream(f"/api/v1/operations/{operation_id}/events/stream", _headers(last_id)) as chunks:
                if told:
                    yield Event("regained", {})
                connected, told, down_since = True, False, None
                for event in parse(chunks):
                    last_id = event.id or last_id
                    yield event
                    if event.name == "end":
                        return
        except NoObjectError as error:
            raise RefusedError(error.status, "Not Found", {"detail": f"no operation {operation_id}"}) from None
        except (NoServerError, RefusedError) as error:
            if not connected or (isinstance(error, RefusedError) and error.status < 500):
                raise
            if down_since is not None:
                if time.monotonic() - down_since >= patience_seconds:
                    raise NoServerError(f"the server has been away for {patience_seconds:.0f} s") from error
                if not told:
                    yield Event("lost", {"message": str(error)})
                    told = True
        down_since = time.monotonic() if down_since is None else down_since
        time.sleep(max(0.0, tried + PACE_SECONDS - time.monotonic()))


def parse(chunks: Iterable[bytes]) -> Iterator[Event]:
    """Decode an event stream (WHATWG HTML, section 9.2); events whose data is no JSON object are left out."""
    name, data, event_id = "", list[str](), ""
    for line in _lines(chunks):
        key, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            decoded = _object("\n".join(data))
            if decoded is not None:
                yield Event(name or "message", decoded, event_id)
            name, data = "", []
        elif key == "event":
            name = value
        elif key == "data":
            data.append(value)
        elif key == "id":
            event_id = value


def _headers(last_id: str) -> dict[str, str]:
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    return {**headers, "Last-Event-ID": last_id} if last_id else headers


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Split at line feeds only: JSON text may hold other characters that Unicode calls line ends."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r").decode(errors="replace")


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
