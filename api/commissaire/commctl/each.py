"""The same request for each of several names; one that is refused doesn't keep the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from commissaire.commctl.errors import RefusedError
from commissaire.commctl.output import Format, show, tell
from commissaire.commctl.session import segment

if TYPE_CHECKING:
    from collections.abc import Callable

    from commissaire.commctl.client import Answer, Client


def delete_each(client: Client, folder: str, names: list[str], output: Format | None, *, force: bool = False) -> None:
    """Delete each of *names* below *folder* and print those deleted. Raises typer.Exit with 2 if any was refused."""
    deleted = ask_each(client.delete, f"{folder}/{{}}{'?force=true' if force else ''}", names)
    if deleted:
        show([*deleted], output)
    exit_if_refused(names, deleted)


def ask_each(ask: Callable[[str], Answer], path: str, names: list[str]) -> dict[str, Any]:
    """Return by name what *ask* got at *path*, with each of *names* in the place of {}. Those refused are told.

    Raises CommctlError, before anything was asked, when a URL can't carry one of them.
    """
    paths = {name: path.format(segment(name)) for name in names}
    answers = {}
    for name, place in paths.items():
        try:
            answers[name] = ask(place).body
        except RefusedError as error:
            tell(f"{name}: {error}")
    return answers


def exit_if_refused(names: list[str], answers: dict[str, Any]) -> None:
    """Raise typer.Exit with 2 if *answers* lacks any of *names*."""
    if set(names) - answers.keys():
        raise typer.Exit(RefusedError.exit_code)
