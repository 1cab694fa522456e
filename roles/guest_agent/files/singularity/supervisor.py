"""Who supervises the daemon, and starts it anew whenever it ends: to stop that one is theirs."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import List, Optional

from singularity import programs
from singularity.errors import Refused


def command(pid: int, action: str) -> Optional[List[str]]:
    """Return the command by which the daemon's supervisor stops or restarts it; None where it has none.

    Whoever asks from within the unit, as its ExecStop= may, is the supervisor already.
    """
    unit = _unit(pid)
    if unit and unit != _unit(os.getpid()) and _main_process(unit) == pid:
        return ["systemctl", "--no-ask-password", action, unit]
    service = _openrc_service(pid)
    if service and service != os.environ.get("RC_SVCNAME"):
        return ["rc-service", service, action]
    return None


def _unit(pid: int) -> str:
    """Return the service of systemd whose control group a process is in, or nothing."""
    for line in _read(f"/proc/{pid}/cgroup").splitlines():
        hierarchy, controllers, path = line.split(":", 2)
        if hierarchy == "0" or controllers == "name=systemd":
            return next((name for name in reversed(path.split("/")) if name.endswith(".service")), "")
    return ""


def _main_process(unit: str) -> int:
    try:
        return int(programs.run(["systemctl", "show", "--property=MainPID", "--value", "--", unit]) or 0)
    except (Refused, ValueError):
        return 0


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
