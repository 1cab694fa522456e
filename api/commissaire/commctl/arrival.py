"""Waiting for a new host to become usable."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from commissaire.commctl.errors import NoObjectError, NoServerError, RefusedError
from commissaire.commctl.events import PATIENCE_SECONDS
from commissaire.commctl.output import printable, say, tell
from commissaire.commctl.session import segment

if TYPE_CHECKING:
    from commissaire.commctl.client import Client

USABLE = ("active", "disassociated")
POLL_SECONDS = 1.0


def wait_for(client: Client, address: str) -> None:
    """Print each status *address* comes to, until it is usable. Raises typer.Exit with 2 when it failed."""
    seen, answered = "", time.monotonic()
    try:
        while seen not in USABLE:
            try:
                host = client.get(f"/api/v1/hosts/{segment(address)}").body
                answered = time.monotonic()
            except NoObjectError as error:
                raise RefusedError(error.status, "Not Found", {"detail": f"{address} has been removed"}) from None
            except NoServerError:
                if time.monotonic() - answered >= PATIENCE_SECONDS:
                    raise
                host = {"status": seen}
            status = str(host.get("status"))
            if status != seen:
                message = printable(host.get("message") or "")
                say(f"{time.strftime('%H:%M:%S')}  {address}  {status:<13}  {message}".rstrip())
            if status == "failed":
                raise typer.Exit(RefusedError.exit_code)
            seen = status
            if seen not in USABLE:
                time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        tell(f"No longer waiting; the server goes on with {address}.\nLook again: commctl host get {address}")
        raise typer.Exit(130) from None
