# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Share the places of one play among Ansible's worker processes.

Ansible forks a worker for each task, so nothing lasts in a process: the places lie in a file in the run's own
temporary directory, which Ansible makes before it forks and removes at exit. Every change holds a lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.commissaire.fleet.plugins.plugin_utils import place
from ansible_collections.commissaire.fleet.plugins.plugin_utils.canary import Flight
from ansible_collections.commissaire.fleet.plugins.plugin_utils.place import Places

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PLACES = ("held", "kept", "failed", "stopped")


@dataclass
class Record:
    """The content of the file.

    `arrived` are the positions in the play of the hosts that asked for a place, `waiting` those that still wait for
    one, each with its worker's pid. `first` are hosts that go before the others, with the time (seconds since the
    epoch) when each ended, 0 before that. `lost` are hosts that left the play while they held a place, as it seemed.
    `under_way` are those that hold one and have started, `begun` says that any has.
    """

    places: Places = field(default_factory=Places)
    arrived: set[int] = field(default_factory=set)
    waiting: dict[int, int] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    under_way: set[str] = field(default_factory=set)
    begun: bool = False

    def begin(self, failed: dict[str, int], first: int, now: float) -> None:
        """Count hosts that `failed` in an earlier play, at these positions of this one, of which the `first` go first.

        Nobody waits for them here; a failure of one that was to go first keeps the others back.
        """
        self.places = replace(self.places, failed=self.places.failed | frozenset(failed))
        self.arrived |= set(failed.values())
        self.first |= {host: now for host, index in failed.items() if index < first}

    def leave(self, gone: Mapping[str, int]) -> None:
        """Wait no more for hosts that left the play, at these positions of it; who had a place loses it."""
        self.places = place.lose(self.places, frozenset(gone))
        self.under_way -= set(gone)
        self.arrived |= set(gone.values())

    def give_up(self) -> None:
        """Count those who hold a place as lost, and wait for nobody that has not come yet: no one is at work."""
        self.lost |= self.places.held
        self.places = place.lose(self.places, self.places.held)
        self.under_way.clear()
        self.arrived |= set(range(max(self.waiting, default=0)))

    def release(self, host: str, failed: bool, out_of_service: bool, stop: bool, skipped: bool, now: float) -> None:
        """Take the place back from `host`, as place.release has it; who was `skipped` has not tried anything out."""
        if host in self.lost:
            self.lost.discard(host)
            self.places = place.find(self.places, host)
        self.places = place.release(self.places, host, failed, out_of_service, stop)
        self.under_way.discard(host)
        if skipped:
            self.first.pop(host, None)
        elif host in self.first:
            self.first[host] = now

    def flight(self) -> Flight:
        """Tell how it goes with the hosts that go first."""
        ended = {host: time for host, time in self.first.items() if time}
        first = frozenset(self.first)
        return Flight(ended, self.places.failed & first, first - frozenset(ended))

    def nobody_comes(self, index: int, forks: int | None) -> bool:
        """Tell whether all of Ansible's forks wait, that of the host at position `index` included."""
        return forks is not None and not self.places.held and len({*self.waiting, index}) >= forks

    def ahead_of(self, index: int) -> int:
        """Count the hosts before position `index` of the play that wait for a place, or are still to ask for one."""
        return sum(1 for other in range(index) if other in self.waiting or other not in self.arrived)


class PlaceFile:
    """The shared record of one play."""

    def __init__(self, directory: str, play: str) -> None:
        self._path = Path(directory) / f"commissaire-places-{play}.json"
        self._lock = self._path.with_suffix(".lock")

    def version(self) -> object:
        """Return something that differs after each change; cheap enough to poll."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns

    def has_begun(self) -> bool:
        """Return whether a host has started."""
        with self.change() as record:
            return record.begun

    @contextlib.contextmanager
    def change(self) -> Iterator[Record]:
        """Lend the record under the lock, and write it back if it was changed."""
        with self._lock.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            record = self._read()
            before = _dump(record)
            yield record
            if _dump(record) != before:
                new = self._path.with_suffix(".new")
                new.write_text(_dump(record))
                new.replace(self._path)

    def _read(self) -> Record:
        try:
            raw = json.loads(self._path.read_text())
        except FileNotFoundError:
            return Record()
        places = Places(*(frozenset(raw[name]) for name in PLACES))
        waiting = {int(index): pid for index, pid in raw["waiting"].items()}
        sets = (set(raw[name]) for name in ("lost", "under_way"))
        return Record(places, set(raw["arrived"]), waiting, raw["first"], *sets, raw["begun"])


def _dump(record: Record) -> str:
    places = record.places
    lists: dict[str, list[Any]] = {name: sorted(getattr(places, name)) for name in PLACES}
    lists |= {"arrived": sorted(record.arrived), "lost": sorted(record.lost), "under_way": sorted(record.under_way)}
    return json.dumps({**lists, "waiting": record.waiting, "first": record.first, "begun": record.begun})
