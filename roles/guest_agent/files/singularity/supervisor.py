"""Who supervises the daemon, and starts it anew whenever it ends: to stop that one is theirs."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import List, Optional

from singularity import programs
from singularity.errors import Refused


def command(pid: int, action: str) -> Optional[List[str]]:
    """Return the command by which the daemon's supervisor stops or restarts it; None where it has none.

    Whoever asks while the unit is stopped already, as its ExecStop= may, is the supervisor.
    """
    unit = _unit(_read(f"/proc/{pid}/cgroup"))
    if unit:
        shown = dict(line.partition("=")[::2] for line in _shown(unit).splitlines())
        if shown.get("MainPID") == str(pid) and shown.get("ActiveState") != "deactivating":
            return ["systemctl", "--no-ask-password", action, unit]
    service = _openrc_service(pid)
    return ["rc-service", service, action] if service else None


def _unit(cgroup: str) -> str:
    """Return the service of systemd whose control group a process is in, by its /proc/PID/cgroup, or nothing."""
    for line in cgroup.splitlines():
        hierarchy, controllers, path = line.split(":", 2)
        if (hierarchy == "0" and not controllers) or controllers == "name=systemd":
            found = next((name for name in reversed(path.split("/")) if name.endswith(".service")), "")
            if found:
                return found
    return ""


def _shown(unit: str) -> str:
    """Return what systemd shows of a unit, in lines NAME=VALUE."""
    try:
        return programs.run(["systemctl", "show", "--property=MainPID", "--property=ActiveState", unit]).decode()
    except (Refused, ValueError):
        return ""


def _openrc_service(pid: int) -> str:
    """Return the service whose supervise-daemon is the parent of a process, or nothing."""
    for line in _read(f"/proc/{pid}/status").splitlines():
        if line.startswith("PPid:"):
            program, _, rest = _read(f"/proc/{line.split()[1]}/cmdline").partition("\0")
            return rest.partition("\0")[0] if os.path.basename(program) == "supervise-daemon" else ""
    return ""


def _read(path: str) -> str:
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
    return ""
