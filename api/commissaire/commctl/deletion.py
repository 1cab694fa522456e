"""Deleting several things at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from commissaire.commctl.errors import RefusedError
from commissaire.commctl.output import Format, show, tell
from commissaire.commctl.session import segment

if TYPE_CHECKING:
    from commissaire.commctl.client import Client


def delete_each(client: Client, folder: str, names: list[str], output: Format | None) -> None:
    """Delete each of *names* below *folder* and print those deleted. Raises typer.Exit with 2 if any was refused."""
    paths = {name: f"{folder}/{segment(name)}" for name in names}
    deleted = []
    for name, path in paths.items():
        try:
            client.delete(path)
        except RefusedError as error:
            tell(f"{name}: {error}")
        else:
            deleted.append(name)
    if deleted:
        show(deleted, output)
    if len(deleted) < len(paths):
        raise typer.Exit(RefusedError.exit_code)
