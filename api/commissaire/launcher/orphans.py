"""What a server that was killed may have left behind: processes of its operations, and its folder of sockets."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil
import structlog

from commissaire.launcher.marker import RUN_MARKER

log = structlog.get_logger(__name__)


def kill_orphans(data_dir: Path) -> None:
    """Kill every process of the operations that the last server on *data_dir* started."""
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
    shutil.rmtree(runtime, ignore_errors=True)
    link.unlink()
