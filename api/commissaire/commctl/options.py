"""Options of a network or a container manager, as they are given on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from commissaire.commctl.files import read_text


def given_options(texts: list[str] | None) -> dict[str, Any]:
    """Return what *texts*, each a JSON object, KEY=VALUE or KEY=@FILE, say together; a later one wins.

    Raises typer.BadParameter for one that is none of these. It isn't repeated in the message: it may be a token.
    """
    options: dict[str, Any] = {}
    for number, text in enumerate(texts or [], start=1):
        if text.lstrip().startswith("{"):
            try:
                options |= json.loads(text)
            except ValueError as error:
                raise typer.BadParameter(f"--options number {number} is no JSON object: {error}") from None
        else:
            key, equals, value = text.partition("=")
            if not equals or not key:
                raise typer.BadParameter(
                    f'--options number {number} is neither KEY=VALUE nor JSON like {{"KEY": "VALUE"}}'
                )
            options[key] = read_text(Path(value[1:]), f"file of the option {key}") if value.startswith("@") else value
    return options
