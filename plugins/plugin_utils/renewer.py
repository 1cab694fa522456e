# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep a host's lease alive while a play works on it: a process beside Ansible's workers, one a leased host.

Ansible forks a worker for each task, so nothing lasts from one task of a host to its next. The renewer is forked from
the worker that takes the lease and leaves it. It ends when its note is removed, when the lease is lost, and when the
play is over. A play that ends by itself, or by Ctrl-C, removes the folder of the notes, and the renewer gives back
what is still held then; SIGTERM makes it do the same. A play that was killed left its host nobody knows how: its lease
is left to expire.
"""

from __future__ import annotations

import contextlib
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.commissaire.fleet.plugins.plugin_utils import lease, processes
from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine import CommandError, Machine, NoContactError

if TYPE_CHECKING:
    from ansible_collections.commissaire.fleet.plugins.plugin_utils.place_file import PlaceFile

NAME = "cmsr-lease"
"""What ps shows, and a supervisor looks for; 15 characters at most."""
LOOK_SECONDS = 0.5
RENEWALS = 4
"""How often a lease is renewed within the time it lasts."""


@dataclass(frozen=True)
class Note:
    """A file in the play's temporary folder, there as long as the lease is to be kept."""

    path: Path

    @classmethod
    def of(cls, directory: str, play: str, host: str) -> Note:
        """Return the note of *host* in a play."""
        return cls(Path(directory) / f"commissaire-lease-{play}-{host.encode().hex()}")

    def write(self, token: int) -> None:
        """Say that the lease with *token* is to be kept."""
        self.path.write_text(str(token))

    def remove(self) -> None:
        """Say that it is not, any more."""
        self.path.unlink(missing_ok=True)

    def wants(self, token: int) -> bool:
        """Tell whether the lease with *token* is to be kept."""
        try:
            return self.path.read_text() == str(token)
        except OSError:
            return False

    def is_over(self) -> bool:
        """Tell whether the play has ended, and tidied up."""
        return not self.path.parent.exists()


def start(machine: Machine, note: Note, places: PlaceFile, token: int, seconds: int) -> None:
    """Fork the renewer of a lease that was just taken for *seconds* in this worker; `places` are the play's."""
    note.write(token)
    main = processes.main_process()
    processes.leave_behind(NAME, lambda: Renewer(machine, note, places, token, seconds, main).run())


class Renewer:
    """Renews one lease."""

    def __init__(self, machine: Machine, note: Note, places: PlaceFile, token: int, seconds: int, main: int) -> None:
        self._machine = machine
        self._note = note
        self._places = places
        self._token = token
        self._seconds = seconds
        self._main = processes.Identity.of(main)
        self._told_to_end = False

    def run(self) -> None:
        """Renew until there is a reason to stop."""
        signal.signal(signal.SIGTERM, self._end)
        next_renewal = time.monotonic() + self._seconds / RENEWALS
        while not self._told_to_end and self._note.wants(self._token) and self._main.is_alive():
            time.sleep(LOOK_SECONDS)
            if time.monotonic() >= next_renewal:
                next_renewal = time.monotonic() + self._seconds / RENEWALS
                if not self.renew():
                    return
        if self._told_to_end or self._note.is_over():
            with contextlib.suppress(NoContactError, CommandError):
                lease.release(self._machine, self._token)

    def renew(self) -> bool:
        """Return False when the lease is lost. A silent host keeps it until it expires, or is back before that."""
        with contextlib.suppress(NoContactError, CommandError, OSError):
            if self._is_at_work():
                return lease.renew(self._machine, self._token, self._seconds)
        return True

    def _is_at_work(self) -> bool:
        """Tell whether the play goes on; in one that is suspended (SIGSTOP, Ctrl-Z) workers still end their tasks."""
        if not processes.is_stopped(self._main.pid):
            return True
        with self._places.change() as record:
            waiting = set(record.waiting.values())
        workers = (processes.live_workers(self._main.pid) or set()) - waiting
        return not all(processes.is_stopped(worker) for worker in workers)

    def _end(self, *_: object) -> None:
        self._told_to_end = True
