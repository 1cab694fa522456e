"""What is told of the guest's system: its name, its distribution, its processors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .session import Session

PROCESSORS = Path("/sys/devices/system/cpu")


def host_name(session: Session) -> dict[str, str]:
    name = "" if session.guest.settings.root == "/" else session.text("/etc/hostname").strip()
    return {"host-name": name or os.uname().nodename}


def operating_system(session: Session) -> dict[str, str]:
    kernel = os.uname()
    answer = {"kernel-release": kernel.release, "kernel-version": kernel.version, "machine": kernel.machine}
    release = release_of(session.text("/etc/os-release") or session.text("/usr/lib/os-release"))
    for name in ("id", "name", "pretty-name", "version", "version-id", "variant", "variant-id"):
        value = release.get(name.replace("-", "_").upper())
        if value:
            answer[name] = value
    return answer


def release_of(text: str) -> dict[str, str]:
    """Return what os-release(5) says by its names, unquoted."""
    release = {}
    for line in text.splitlines():
        name, is_assignment, value = line.strip().partition("=")
        if is_assignment and not name.startswith("#"):
            release[name] = _unquoted(value)
    return release


def processors(session: Session) -> list[dict[str, Any]]:
    numbers = sorted(int(folder.name[3:]) for folder in PROCESSORS.glob("cpu[0-9]*") if folder.name[3:].isdigit())
    return [_processor(number) for number in numbers]


def _processor(number: int) -> dict[str, Any]:
    """One without a file `online` is always on."""
    try:
        online = (PROCESSORS / f"cpu{number}" / "online").read_text().strip()
    except FileNotFoundError:
        return {"logical-id": number, "online": True, "can-offline": False}
    return {"logical-id": number, "online": online == "1", "can-offline": True}


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        quote, value = value[0], value[1:-1]
        if quote == '"':
            for character in '$"`\\':  # the backslash last: it makes the others
                value = value.replace("\\" + character, character)
    return value
