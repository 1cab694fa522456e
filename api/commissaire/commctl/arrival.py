"""Waiting for hosts to become usable."""

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


def wait_for(client: Client, addresses: list[str]) -> None:
    """Print each status the *addresses* come to, until each is usable or has failed.

    Raises typer.Exit with 2 when one failed or was removed, and NoServerError when the server stays away.
    """
    waiting, failed, answered = dict.fromkeys(addresses, ""), False, time.monotonic()
    try:
        while waiting:
            for address, seen in list(waiting.items()):
                try:
                    host = client.get(f"/api/v1/hosts/{segment(address)}").body
                except NoObjectError:
                    host = {"status": "removed"}
                except NoServerError:
                    if time.monotonic() - answered >= PATIENCE_SECONDS:
                        raise
                    break
                answered = time.monotonic()
                status = waiting[address] = str(host.get("status"))
                if status != seen:
                    message = printable(host.get("message") or "")
                    say(f"{time.strftime('%H:%M:%S')}  {address}  {status:<13}  {message}".rstrip())
                if status in (*USABLE, "failed", "removed"):
                    failed = failed or status not in USABLE
                    del waiting[address]
            if waiting:
                time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        names = ", ".join(waiting)
        again = "\n".join(f"Look again: commctl host get {address}" for address in waiting)
        tell(f"No longer waiting; the server goes on with {names}.\n{again}")
        raise typer.Exit(130) from None
    if failed:
        raise typer.Exit(RefusedError.exit_code)
