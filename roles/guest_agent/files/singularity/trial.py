"""A trial of another version of the agent: it is started on a socket of its own, and asked who it is."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

from singularity.errors import Refused

if TYPE_CHECKING:
    from singularity.settings import Settings

SECONDS = 8
PAUSE_SECONDS = 0.05
STOP_SECONDS = 2


def ask(program: str, settings: Settings) -> str:
    """Return the version that the agent at the path *program* answers with. Raises Refused where it does not."""
    with tempfile.TemporaryDirectory(prefix="singularity-") as folder:
        path = os.path.join(folder, "socket")
        process = subprocess.Popen(
            _command(program, settings, folder, path),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"},
        )
        try:
            return _version(process, path, time.monotonic() + SECONDS)
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _command(program: str, settings: Settings, folder: str, path: str) -> list:  # type: ignore[type-arg]
    options = {
        "--configuration": settings.configuration,
        "--root": settings.root,
        "--run": folder,
        "--pidfile": os.path.join(folder, "pid"),
        "--loghandler": settings.log_handler if settings.log_handler != "-" else "syslog",
        "--channel": f"unix:{path}",
    }
    arguments = [f"{name}={value}" for name, value in options.items()]
    return [sys.executable, program, "daemon", *arguments, "--nodaemonize", "start"]


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
