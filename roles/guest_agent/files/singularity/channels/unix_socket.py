"""A unix socket, for hypervisors that map one into the machine, and for trials."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from singularity.channels.listener import Listener

if TYPE_CHECKING:
    from singularity.dialects import Dialects
    from singularity.loop import Loop


def unix_socket(name: str, path: str, loop: Loop, dialects: Dialects) -> Listener:
    """Return the channel of a socket at *path*, which only its owner may connect to."""
    return Listener(name, loop, dialects, lambda: _listen(path), lambda: _remove(path))


def _listen(path: str) -> socket.socket:
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    if _is_forsaken(path):
        _remove(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    before = os.umask(0o177)
    try:
        listener.bind(path)
        listener.listen(16)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, error.strerror or str(error), path) from error
    finally:
        os.umask(before)
    return listener


def _is_forsaken(path: str) -> bool:
    """Whether a socket is there that nobody listens at: a daemon that was killed leaves one."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
            trial.connect(path)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def _remove(path: str) -> None:
    with suppress(OSError):  # the folder may be another user's by now: the next start finds it forsaken
        os.unlink(path)
