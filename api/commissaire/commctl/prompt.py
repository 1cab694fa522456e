"""Asking people, on standard error: standard output may be a file."""

from __future__ import annotations

import sys
from getpass import getpass

from commissaire.commctl.errors import CommctlError


def on_terminal() -> bool:
    """Tell whether there is somebody to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(what: str, *, default: str | None = None, hide: bool = False) -> str:
    """Ask until there is an answer; an empty one takes *default*. Raises CommctlError at the end of the input."""
    prompt = f"{what.capitalize()}{f' [{default}]' if default else ''}: "
    while True:
        try:
            answer = getpass(prompt, stream=sys.stderr) if hide else _line(prompt)
        except EOFError:
            raise CommctlError(f"no {what} given") from None
        if answer or default:
            return answer or default or ""


def ask_password() -> str:
    """Ask for a password; where nobody can be asked, take the first line of standard input."""
    if sys.stdin.isatty():
        return ask("password", hide=True)
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise CommctlError("no password: run this on a terminal to be asked for it, or pipe it in")
    return line


def _line(prompt: str) -> str:
    print(prompt, end="", file=sys.stderr, flush=True)  # noqa: T201
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.strip()
