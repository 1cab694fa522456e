"""commctl passhash"""

from pathlib import Path
from typing import Annotated

import typer

from commissaire.commctl.errors import CommctlError
from commissaire.commctl.output import say

LONGEST_BYTES = 72


def passhash(
    password: Annotated[
        str | None,
        typer.Option(
            "--password", "-p", metavar="PASSWORD", help="The password. Others can see it: better leave it out."
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", metavar="FILE", help="The file that holds the password; - is standard input."),
    ] = None,
    rounds: Annotated[
        int, typer.Option("--rounds", "-r", min=4, max=31, help="The work it takes: each one more doubles it.")
    ] = 12,
) -> None:
    """Print the bcrypt hash of a password, as users.json wants it. Asks for the password; needs no server."""
    if password is not None and file is not None:
        raise typer.BadParameter("the password comes from --password or from --file; leave one of them out")
    secret = _content(file) if file else _given(password).encode()
    if not secret or b"\0" in secret:
        raise CommctlError("the password is empty" if not secret else "a password can't hold a zero byte")
    if len(secret) > LONGEST_BYTES:
        raise CommctlError(f"the password has {len(secret)} bytes; bcrypt takes {LONGEST_BYTES} at most")
    import bcrypt

    say(bcrypt.hashpw(secret, bcrypt.gensalt(rounds)).decode())


def _given(password: str | None) -> str:
    if password is not None:
        return password
    from commissaire.commctl.prompt import ask_password

    return ask_password()


def _content(path: Path) -> bytes:
    """Return what *path* holds, without the newline that editors put at its end."""
    import sys

    try:
        content = sys.stdin.buffer.read() if str(path) == "-" else path.expanduser().read_bytes()
    except OSError as error:
        raise CommctlError(f"the password file {path} can't be read: {error.strerror}") from None
    return content.removesuffix(b"\n").removesuffix(b"\r")
