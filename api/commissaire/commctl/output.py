"""Results on standard output as YAML, JSON or tables; everything else on standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import typer


class Format(StrEnum):
    """The forms a result is printed in."""

    YAML = "yaml"
    JSON = "json"
    TABLE = "table"


OutputOption = Annotated[Format | None, typer.Option("--output", "-o", help="How to print the result (default: yaml).")]
LongOutputOption = Annotated[Format | None, typer.Option("--output", help="How to print the result (default: yaml).")]
"""Where `-o` means options, as in the released commctl."""
BROKEN_PIPE_EXIT_CODE = 141  # what a shell reports for a program that SIGPIPE ended


def show(result: Any, form: Format | None = None) -> None:
    """Print *result* (decoded JSON) in *form*, YAML when it is None."""
    render = {None: _yaml, Format.YAML: _yaml, Format.JSON: _json, Format.TABLE: _table}[form]
    say(render(result))


def either(watch: bool, output: Format | None) -> None:
    """Raise BadParameter when both are wanted."""
    if watch and output:
        raise typer.BadParameter("--watch shows progress, not a result to be formatted; leave one of them out")


def say(text: str) -> None:
    """Print a line on standard output at once; end quietly when its reader has gone."""
    try:
        print(text, flush=True)  # noqa: T201
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(BROKEN_PIPE_EXIT_CODE) from None


def tell(text: str) -> None:
    """Print a line for a person on standard error."""
    print(printable(text, keep="\n"), file=sys.stderr, flush=True)  # noqa: T201


def warn(text: str) -> None:
    """Print a warning on standard error."""
    tell(f"warning: {text}")


def printable(value: Any, keep: str = "") -> str:
    """Return *value* as text that can't steer a terminal: control characters, but those in *keep*, become spaces."""
    return "".join(char if char.isprintable() or char in keep else " " for char in str(value))


def _yaml(result: Any) -> str:
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    def dump(ascii_only: bool) -> str:
        text: str = yaml.dump(
            result, Dumper=dumper, sort_keys=False, allow_unicode=not ascii_only, default_flow_style=False
        )
        return text.rstrip("\n")

    return _harmless(dump)


def _json(result: Any) -> str:
    return _harmless(lambda ascii_only: json.dumps(result, indent=2, ensure_ascii=ascii_only))


def _harmless(dump: Callable[[bool], str]) -> str:
    """Return what *dump*, told whether to escape all but ASCII, makes of data: nothing that could steer a terminal."""
    text = dump(False)
    return text if text == printable(text, keep="\n") else dump(True)


def _table(result: Any) -> str:
    if isinstance(result, list):
        return _rows(result)
    if not isinstance(result, dict):
        return _cell(result)
    below = {key: value for key, value in result.items() if isinstance(value, list) and _records(value)}
    record = [[key, value] for key, value in result.items() if key not in below]
    return "\n\n".join([_columns([], record), *(_rows(value) for value in below.values())])


def _rows(items: list[Any]) -> str:
    if not _records(items):
        return "\n".join(_cell(item) for item in items)
    names = sorted(dict.fromkeys(key for item in items for key in item), key="message".__eq__)  # the longest, last
    return _columns(names, [[item.get(name) for name in names] for item in items])


def _records(items: list[Any]) -> bool:
    return bool(items) and all(isinstance(item, dict) for item in items)


def _columns(names: list[str], rows: list[list[Any]]) -> str:
    from rich.cells import cell_len

    lines = [[name.upper() for name in names]] if names else []
    lines += [[_cell(value) for value in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(text + " " * (width - cell_len(text)) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_cell(one)}" for key, one in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(_cell(one) for one in value) or "-"
    return printable(value)
