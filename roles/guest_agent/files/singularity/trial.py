"""A trial of another version of the agent: it is started on a socket of its own, and asked who it is."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, List

from singularity.errors import Refused
from singularity.leftovers import TRIAL
from singularity.program import interpreter

if TYPE_CHECKING:
    from singularity.settings import Settings

SECONDS = 8
PAUSE_SECONDS = 0.05
STOP_SECONDS = 2
SOCKET = "socket"
MOST_FOLDER = 90
_PR_SET_PDEATHSIG = 1


def ask(program: str, settings: Settings, seconds: float = SECONDS) -> str:
    """Return the version that the agent at the path *program* answers with. Raises Refused for one that does not."""
    folder = _make_folder(settings)
    try:
        process = subprocess.Popen(
            _command(program, settings, folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"},
            preexec_fn=_die_with_parent,
        )
        try:
            return _version(process, os.path.join(folder, SOCKET), time.monotonic() + seconds)
        finally:
            _stop(process)
    finally:
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)


def _die_with_parent() -> None:
    """Be ended when the agent is killed, which could not end the trial then (prctl(2))."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _make_folder(settings: Settings) -> str:
    """Make a folder for the trial alone, whose path a socket's can begin with."""
    name = f"{TRIAL}{os.urandom(8).hex()}"
    for parent in (settings.run, "/tmp"):  # noqa: S108  mkdir fails where somebody was there before
        folder = os.path.join(parent, name)
        if len(os.fsencode(folder)) <= MOST_FOLDER:
            try:
                os.mkdir(folder, 0o700)
            except OSError:
                continue
            return folder
    raise Refused("The new version can't be tried: no folder can be made for that")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _command(program: str, settings: Settings, folder: str) -> List[str]:
    options = {
        "--configuration": settings.configuration,
        "--root": settings.root,
        "--run": folder,
        "--pidfile": os.path.join(folder, "pid"),
        "--loghandler": settings.log_handler if settings.log_handler != "-" else "syslog",
        "--channel": f"unix:{os.path.join(folder, SOCKET)}",
    }
    arguments = [f"{name}={value}" for name, value in options.items()]
    return [*interpreter(), program, "daemon", *arguments, "--nodaemonize", "start"]


def _version(process: subprocess.Popen[bytes], path: str, deadline: float) -> str:
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Refused(f"The new version does not run: it ends at once, with status {process.returncode}")
        try:
            version = _call(path, "version", "agent", deadline)
            _call(path, "features", "", deadline)
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(PAUSE_SECONDS)
            continue
        except (OSError, ValueError, KeyError, TypeError):
            break
        if not re.fullmatch(r"\d+(\.\d+)*", version):
            raise Refused("The new version answers with a version that is none")
        return version
    raise Refused("The new version does not answer")


def _call(path: str, name: str, value: str, deadline: float) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(max(0.1, deadline - time.monotonic()))
        connection.connect(path)
        connection.sendall(json.dumps({"name": name, "value": value}).encode() + b"\n\n")
        answer = b""
        while not answer.endswith(b"\n\n"):
            piece = connection.recv(4096)
            if not piece:
                break
            answer += piece
    reply = json.loads(answer)
    if reply["returncode"] != "0":
        raise ValueError(name)
    return str(reply["message"])
