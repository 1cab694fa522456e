"""Following an operation until it ends: a live display on a terminal, a line a change elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import typer

from commissaire.commctl.errors import CommctlError, NoObjectError, NoServerError, RefusedError
from commissaire.commctl.events import follow
from commissaire.commctl.output import printable, say, tell
from commissaire.commctl.progress import Progress, Row

if TYPE_CHECKING:
    from collections.abc import Callable

    from commissaire.commctl.client import Client

FAILED_EXIT_CODE = 2
INTERRUPTED_EXIT_CODE = 130
FAILURES_SHOWN = 20


class View(Protocol):
    """Where progress is shown. A context manager around the whole operation."""

    keeps_messages: bool
    """Whether every host's last message can still be read in full afterwards."""

    def __enter__(self) -> View: ...

    def __exit__(self, *exc: object) -> None: ...

    def host(self, row: Row) -> None:
        """Show that a host's state, phase or message is now *row*'s."""

    def operation(self) -> None:
        """Show that the operation's own state has changed."""

    def note(self, text: str) -> None:
        """Show a word on the connection; "" takes it back."""


def operation_id(location: str) -> str:
    """Return the id in a Location header naming an operation. Raises CommctlError for a header without one."""
    before, _, found = urlsplit(location).path.rstrip("/").rpartition("/")
    if not before.endswith("/operations") or not found:
        raise CommctlError("the server named no operation to watch; is it older than this commctl?")
    return found


def watch(client: Client, operation: str) -> None:
    """Show the operation's progress until it ends. Raises typer.Exit with 2 when it failed or was cancelled."""
    progress = _begin(client, operation)

    def now() -> float:
        return time.time() + client.clock_skew_seconds

    try:
        view = _view(progress, operation, now)
        with view:
            for event in follow(client, operation):
                if event.name == "lost":
                    view.note(f"connection lost, trying again ({event.data['message']})")
                elif event.name == "regained":
                    view.note("")
                else:
                    state = progress.operation.get("state")
                    row = progress.apply(event)
                    if row is not None:
                        view.host(row)
                    if progress.operation.get("state") != state:
                        view.operation()
    except KeyboardInterrupt:
        tell(f"No longer watching; the operation goes on.\n{_hints(operation)}")
        raise typer.Exit(INTERRUPTED_EXIT_CODE) from None
    except NoServerError as error:
        raise NoServerError(
            f"{error}; the operation goes on there, or when the server is back.\n{_hints(operation)}"
        ) from None
    _report(progress, now(), told=view.keeps_messages)


def _begin(client: Client, operation: str) -> Progress:
    """Return all of the operation's hosts as pending; the stream then tells of those that have got further."""
    try:
        rows = client.get(f"/api/v1/operations/{operation}/hosts").body["items"]
    except NoObjectError as error:
        raise RefusedError(error.status, "Not Found", {"detail": f"no operation {operation}"}) from None
    return Progress({}, {row["address"]: {"address": row["address"], "state": "pending"} for row in rows})


def _view(progress: Progress, operation: str, now: Callable[[], float]) -> View:
    from rich.console import Console

    from commissaire.commctl.lines import LineView
    from commissaire.commctl.live import LiveView

    console = Console()
    if not console.is_terminal or console.is_dumb_terminal:
        return LineView(progress, operation, now)
    return LiveView(progress, operation, now, console)


def _hints(operation: str) -> str:
    return (
        f"Watch it again:  commctl operation watch {operation}\nCancel it:       commctl operation cancel {operation}"
    )


def _report(progress: Progress, now: float, *, told: bool) -> None:
    failed = [row for row in progress.hosts.values() if row.get("state") == "failed"]
    for row in [] if told else failed[:FAILURES_SHOWN]:
        say(f"failed: {printable(row['address'])}: {printable(row.get('message') or row.get('phase') or 'no message')}")
    if not told and len(failed) > FAILURES_SHOWN:
        say(f"... and {len(failed) - FAILURES_SHOWN} more: commctl operation show {progress.operation.get('id')}")
    state = str(progress.operation.get("state"))
    if state != "finished" and not failed:
        say(f"{state}: {printable(progress.operation.get('message') or 'no message')}")
    say(progress.summary(now))
    if state != "finished":
        raise typer.Exit(FAILED_EXIT_CODE)
