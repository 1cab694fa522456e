"""A machine's serial console at this terminal."""

from __future__ import annotations

import os
import select
import sys
import termios
import threading
import tty
from typing import TYPE_CHECKING

import typer

from commissaire.commctl.errors import NoServerError
from commissaire.commctl.output import tell

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

    from commissaire.commctl.client import Client

LEAVE = b"\x1d"
"""Ctrl-], as in virsh and telnet."""
_LOOK_SECONDS = 0.2
_ENDED = 1000
_REASONS = {1001: "the server stops", 1013: "this terminal reads too slowly"}


def attach(client: Client, path: str) -> None:
    """Connect this terminal with the console at *path* until Ctrl-] or its end."""
    if not sys.stdin.isatty():
        raise typer.BadParameter("an interactive console needs a terminal; give --seconds only to listen")
    socket = client.socket(path)
    tell("Connected; Ctrl-] leaves.")
    keys = sys.stdin.fileno()
    before = termios.tcgetattr(keys)
    ended = threading.Event()
    listener = threading.Thread(target=_show, args=(socket, ended), daemon=True)
    try:
        tty.setraw(keys)
        listener.start()
        left = _type(socket, keys, ended)
    finally:
        termios.tcsetattr(keys, termios.TCSADRAIN, before)
        socket.close()
    tell("")
    code = socket.protocol.close_code
    if not left and code == _ENDED:
        tell("The console ended: the machine is off, or another program took it.")
    elif not left:
        raise NoServerError(f"the console ended: {_REASONS.get(code or 0, 'the connection broke')}")


def _type(socket: ClientConnection, keys: int, ended: threading.Event) -> bool:
    """Send what is typed; return whether the user has left."""
    from websockets.exceptions import ConnectionClosed

    while not ended.is_set():
        if not select.select([keys], [], [], _LOOK_SECONDS)[0]:
            continue
        typed, leave, _ = os.read(keys, 4096).partition(LEAVE)
        try:
            if typed:
                socket.send(typed)
        except ConnectionClosed:
            return False
        if leave:
            return True
    return False


def _show(socket: ClientConnection, ended: threading.Event) -> None:
    from websockets.exceptions import ConnectionClosed

    try:
        for piece in socket:
            os.write(sys.stdout.fileno(), piece if isinstance(piece, bytes) else piece.encode())
    except (ConnectionClosed, OSError):
        pass
    finally:
        ended.set()
