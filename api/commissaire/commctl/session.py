"""A command's way to the server. Light, so that commands that need no server start at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from commissaire.commctl.errors import CommctlError

if TYPE_CHECKING:
    import typer

    from commissaire.commctl.client import Client


def connect(ctx: typer.Context) -> Client:
    """Return a client for the configuration that -c named; it is closed when the command ends."""
    from commissaire.commctl import config
    from commissaire.commctl.client import Client

    source = ctx.find_root().get_parameter_source("config")
    named_by = "$COMMCTL_CONFIG" if source and source.name == "ENVIRONMENT" else ""
    client = Client(config.load(configuration_path(ctx), named_by))
    ctx.call_on_close(client.close)
    return client


def configuration_path(ctx: typer.Context) -> Path | None:
    """Return the configuration file that -c or $COMMCTL_CONFIG named, None when neither did."""
    path = ctx.find_root().params.get("config")
    return Path(path) if path else None


def segment(name: str) -> str:
    """Return *name* as one segment of a URL's path. Raises CommctlError for one that a URL can't carry."""
    if name in ("", ".", ".."):
        raise CommctlError(f"{name!r} is no name")
    return quote(name, safe=":")
