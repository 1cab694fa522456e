"""Names that a shell completes, asked from the server: quickly, or not at all."""

import os
import re
from contextlib import redirect_stderr
from pathlib import Path

import typer

from commissaire.commctl.session import configuration_path

PATIENCE_SECONDS = 1.0
SAFE = re.compile(r"[A-Za-z0-9_.:%-]+", re.ASCII)
"""What a shell takes for one plain word: zsh evaluates what it gets."""


def clusters(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the clusters whose names begin with *incomplete*."""
    return _names(ctx, "/api/v0/clusters", incomplete)


def hosts(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the hosts whose addresses begin with *incomplete*."""
    return _names(ctx, "/api/v0/hosts", incomplete)


def networks(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the networks whose names begin with *incomplete*."""
    return _names(ctx, "/api/v0/networks", incomplete)


def container_managers(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the container managers whose names begin with *incomplete*."""
    return _names(ctx, "/api/v0/containermanagers", incomplete)


def hypervisors(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the hypervisors whose names begin with *incomplete*."""
    return _names(ctx, "/api/v1/hypervisors", incomplete)


def _names(ctx: typer.Context, path: str, incomplete: str) -> list[str]:
    """Return the names listed at *path*. None at all when that can't be done without asking, waiting or complaining."""
    from commissaire.commctl import config
    from commissaire.commctl.client import Client

    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
        try:
            client = Client(config.load(configuration_path(ctx)), patience_seconds=PATIENCE_SECONDS)
            listed = client.get(path).body
            listed = listed["items"] if isinstance(listed, dict) else listed
            names = [str(one.get("address") or one["name"]) if isinstance(one, dict) else str(one) for one in listed]
        except Exception:
            return []
    return [name for name in names if name.startswith(incomplete) and SAFE.fullmatch(name)]
