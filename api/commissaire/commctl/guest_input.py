"""What commctl guest sends: files, passwords, networks, environments, as users give them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from commissaire.commctl.errors import CommctlError
from commissaire.commctl.files import read_text
from commissaire.commctl.prompt import ask, ask_password, on_terminal

Source = Annotated[
    Path, typer.Argument(metavar="FILE", help="The file here; - reads standard input.", show_default=False)
]
_STANDARD_INPUT = Path("-")


def read_source(file: Path) -> bytes:
    """Return a file's bytes. Raises CommctlError when it can't be read."""
    if file == _STANDARD_INPUT:
        return sys.stdin.buffer.read()
    try:
        return file.expanduser().read_bytes()
    except OSError as error:
        raise CommctlError(f"the file {file} can't be read: {error.strerror}") from None


def write_target(file: Path, content: bytes) -> None:
    """Write what was fetched. Raises CommctlError when it can't be written."""
    try:
        descriptor = os.open(file.expanduser(), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            target.write(content)
    except OSError as error:
        raise CommctlError(f"{file} can't be written: {error.strerror}; name another file") from None


def new_password(file: Path | None) -> str:
    """Return a password: the first line of *file*, or of standard input, or typed twice. Raises CommctlError."""
    if file is not None and file != _STANDARD_INPUT:
        password = read_text(file, "file with the password").partition("\n")[0].removesuffix("\r")
        if not password:
            raise CommctlError(f"the first line of {file} is empty; it is to be the password")
        return password
    password = ask_password()
    if on_terminal() and ask("password again", hide=True) != password:
        raise CommctlError("the two passwords differ; try again")
    return password


def read_network(file: Path | None, hostname: str | None) -> dict[str, Any]:
    """Return what a network is to be like. Raises CommctlError when the file holds no such thing."""
    body: Any = {}
    if file is not None:
        from commissaire.commctl.plain_yaml import YAMLError, load

        text = sys.stdin.read() if file == _STANDARD_INPUT else read_text(file, "file")
        try:
            body = load(text)
        except YAMLError as error:
            raise CommctlError(f"{file} is neither YAML nor JSON: {error}") from None
        if not isinstance(body, dict):
            raise CommctlError(f"{file} holds no mapping with hostname and interfaces")
    if hostname is not None:
        body["hostname"] = hostname
    if not body:
        raise CommctlError("nothing to do: give a file with interfaces, --hostname, or both")
    return dict(body)


def read_environment(texts: list[str]) -> dict[str, str]:
    """Return variables by their names. Raises BadParameter for what is not NAME=VALUE."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter("--env is not NAME=VALUE")
        found[name] = value
    return found
