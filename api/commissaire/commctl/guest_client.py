"""Questions to the insides of machines: asked, and waited for as long as it takes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commissaire.commctl.errors import CommctlError
from commissaire.commctl.output import tell
from commissaire.commctl.session import connect, segment

if TYPE_CHECKING:
    from collections.abc import Callable

    from commissaire.commctl.client import Reply

Guest = Annotated[
    str,
    typer.Argument(metavar="MACHINE", help="HYPERVISOR/NAME, or NAME where only one is called so.", show_default=False),
]
Transport = Annotated[
    str | None,
    typer.Option(
        "--transport",
        metavar="TRANSPORT",
        help="How its agent is reached: libvirt (default), or xenstore of the server's own machine.",
    ),
]
Domid = Annotated[int | None, typer.Option("--domid", min=1, metavar="N", help="The Xen domain, with xenstore.")]
_WAIT_SECONDS = 25
_PATIENCE_SECONDS = 90.0
"""Servers answer within _WAIT_SECONDS, or say that it takes longer."""


def ask(
    ctx: typer.Context,
    method: str,
    machine: str,
    below: str,
    transport: str | None,
    domid: int | None,
    *,
    query: dict[str, Any] | None = None,
    body: dict[str, Any] | None = None,
    content: bytes | None = None,
    sent: Callable[[int], None] | None = None,
    received: Callable[[int, int], None] | None = None,
) -> Reply:
    """Ask a machine, and return its answer however long it takes; *sent* and *received* are told of bytes.

    Raises CommctlError: see `Client`.
    """
    hypervisor, slash, name = machine.rpartition("/")
    if slash and not (hypervisor and name):
        raise CommctlError(f"{machine!r} is no HYPERVISOR/NAME")
    given = {**(query or {}), "hypervisor": hypervisor or None, "transport": transport, "domid": domid}
    params = {key: value for key, value in given.items() if value is not None}
    params["wait_seconds"] = _WAIT_SECONDS
    client = connect(ctx)
    path = f"/api/v1/guests/{segment(name)}/{below}"
    reply = client.ask(method, path, params, body, content, _PATIENCE_SECONDS, sent, received)
    try:
        while reply.status == 202:
            again = {"wait_seconds": _WAIT_SECONDS}
            reply = client.ask("GET", reply.location, again, None, None, _PATIENCE_SECONDS, None, received)
    except KeyboardInterrupt:
        tell(f"It goes on: operation {reply.location.rpartition('/')[2]} (commctl operation show, cancel).")
        raise typer.Exit(130) from None
    return reply


def write(content: bytes, stream: Any = None) -> None:
    """Write bytes to a standard stream as they are; at a terminal, without what could steer it."""
    from commissaire.commctl.output import printable

    stream = stream or sys.stdout
    if stream.isatty():
        content = printable(content.decode(errors="replace").replace("\r\n", "\n"), keep="\n\t").encode()
    stream.flush()
    stream.buffer.write(content)
    stream.buffer.flush()
