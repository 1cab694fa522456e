# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""End a play that hangs: with a free strategy Ansible waits forever for a worker that was killed.

One process a play, started with its first place. It looks whether anybody works while hosts hold places.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.commissaire.fleet.plugins.plugin_utils import processes

if TYPE_CHECKING:
    from ansible_collections.commissaire.fleet.plugins.plugin_utils.place_file import PlaceFile

NAME = "cmsr-watchdog"
LOOK_SECONDS = 1.0
LOOKS = 8
"""This many in a row without a worker of Ansible's that works on a host with a place, and the play hangs."""
UNSEEN_LOOKS = 30
"""So many where none is known to be killed: Ansible may have buried it before we looked."""
POLLS = 15
"""So often between two looks does a strategy ask for results, at least; a prompt or a callback plugin doesn't."""
HANGS = (
    "[ERROR]: a worker process of ansible-playbook was killed (is the memory used up?), and Ansible would wait for it "
    "forever: ended. Run the playbook again; with the same operation_id it goes on where it was.\n"
)


def start(places: PlaceFile, directory: str, play: str) -> None:
    """Fork the watchdog of a play, unless it has one."""
    mark = Path(directory) / f"commissaire-watchdog-{play}"
    try:
        mark.open("x").close()
    except FileExistsError:
        return
    for earlier in set(mark.parent.glob("commissaire-watchdog-*")) - {mark}:  # of plays that have ended
        earlier.unlink(missing_ok=True)
    main = processes.main_process()
    processes.leave_behind(NAME, lambda: watch(places, mark, processes.Identity.of(main)))


def watch(places: PlaceFile, mark: Path, main: processes.Identity) -> None:
    """Look until the play that `mark` stands for hangs, or the mark or `main` is gone."""
    idle_looks = polls = 0
    killed = False
    ended = ""
    while main.is_alive() and mark.exists():
        time.sleep(LOOK_SECONDS)
        killed = killed or processes.has_killed_child(main.pid)
        before, ended = ended, processes.ended_children(main.pid)
        polls_before, polls = polls, processes.voluntary_switches(main.pid)
        hangs = ended == before and (killed or polls - polls_before >= POLLS) and _is_idle(places, main, killed)
        idle_looks = idle_looks + 1 if hangs else 0
        if idle_looks >= (LOOKS if killed else UNSEEN_LOOKS) and main.is_alive():
            with contextlib.suppress(OSError), Path(f"/proc/{main.pid}/fd/2").open("a") as stderr:
                stderr.write(HANGS)
            os.kill(main.pid, signal.SIGTERM)
            return


def _is_idle(places: PlaceFile, main: processes.Identity, killed: bool) -> bool:
    """Tell whether hosts are under way or wait, and nobody works on any.

    Where no worker is known to be `killed`, hosts that wait may still go on: one under way may have become unreachable.
    """
    workers = processes.live_workers(main.pid)
    if workers is None or processes.is_stopped(main.pid):
        return False
    with places.change() as record:
        under_way = record.places.held or record.lost or record.waiting
        return bool(under_way) and workers <= (set(record.waiting.values()) if killed else set())
