"""What a server that was killed may have left behind: processes of its operations, and its folders."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil
import structlog

from commissaire.launcher.marker import RUN_MARKER
from commissaire.machines.way import HYPERVISOR_PREFIX
from commissaire.shared_memory import shared_folder

log = structlog.get_logger(__name__)


def kill_orphans(data_dir: Path) -> None:
    """Kill every process of the operations that the last server on *data_dir* started, and remove its folders."""
    link = data_dir / "runtime"
    if not link.is_symlink():
        return
    runtime = link.readlink()
    for process in psutil.process_iter():
        try:
            marker = process.environ().get(RUN_MARKER, "")
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue
        if marker.startswith(f"{runtime}:"):
            log.warning("orphan_killed", pid=process.pid, name=process.name())
            process.kill()
    for left in (runtime, shared_folder(runtime), *data_dir.glob(f"{HYPERVISOR_PREFIX}*")):
        shutil.rmtree(left, ignore_errors=True)
    link.unlink()
