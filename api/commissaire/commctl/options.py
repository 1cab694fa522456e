"""Options of a network or a container manager, as they are given on the command line."""

from __future__ import annotations

import json
from typing import Any

import typer


def given_options(texts: list[str] | None) -> dict[str, Any]:
    """Return what *texts*, each a JSON object or KEY=VALUE, say together; a later one wins.

    Raises typer.BadParameter for one that is neither. It isn't repeated in the message: it may be a token.
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
            options[key] = value
    return options
