"""The kernel's own record of which processes belong to a machine: what freezes them, and what leaves none behind.

Works on cgroup v2, and on the v1 hierarchies `freezer` and `name=systemd` where those are mounted instead.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from .command import LabError

ROOT = "commissaire-lab"
CONTAINERS = ("cpu", "cpuacct", "cpuset", "memory", "pids", "blkio", "devices")
"""The controllers of cgroup v1 that a machine with containers in it needs a place of its own in, too."""


def hierarchies(controllers: Sequence[str] = ()) -> list[Path]:
    """Return the mount points of the hierarchies a machine needs a place of its own in; the one to count by first.

    Those of further `controllers` of cgroup v1 come last; none of them is needed.
    """
    found: dict[str, Path] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split()
        if kind == "cgroup2":
            found.setdefault("unified", Path(before.split()[4]))
        elif kind == "cgroup":
            for name in {"freezer", "name=systemd", *controllers}.intersection(options.split(",")):
                found.setdefault(name, Path(before.split()[4]))
    order = [found[name] for name in ("freezer", "unified", "name=systemd") if name in found]
    if not order:
        raise LabError("no cgroup hierarchy is mounted below /sys/fs/cgroup: systemd can't run in a machine here")
    return list(dict.fromkeys([*order, *(found[name] for name in controllers if name in found)]))


def create(group: str, controllers: Sequence[str] = ()) -> list[Path]:
    """Make `group` in every hierarchy and return the files that take a process id into it."""
    members = []
    for hierarchy in hierarchies(controllers):
        directory = hierarchy / ROOT / group
        directory.mkdir(parents=True, exist_ok=True)
        if (hierarchy / "cpuset.cpus").exists():  # without any it takes no process, and neither do those below it
            for above in reversed([directory, *directory.parents][: len(Path(ROOT, group).parts)]):
                (above / "cgroup.clone_children").write_text("1")
                for name in ("cpuset.cpus", "cpuset.mems"):
                    (above / name).write_text((above.parent / name).read_text())
        members.append(directory / "cgroup.procs")
    return members


def processes(group: str) -> list[int]:
    """Return the ids of the processes in `group` and below it."""
    found = []
    for directory in _tree(hierarchies()[0] / ROOT / group):
        try:
            found += [int(pid) for pid in (directory / "cgroup.procs").read_text().split()]
        except OSError:  # removed since it was listed
            continue
    return [pid for pid in found if pid]


def freeze(group: str, frozen: bool) -> None:
    """Stop every process of `group` where it stands, or let them go on. Return when that is so."""
    directory = hierarchies()[0] / ROOT / group
    if not processes(group):
        raise LabError(f"{group} is not running: power it on first")
    if (directory / "freezer.state").exists():
        state, wanted = directory / "freezer.state", "FROZEN" if frozen else "THAWED"
        state.write_text(wanted)
    else:
        (directory / "cgroup.freeze").write_text("1" if frozen else "0")
        state, wanted = directory / "cgroup.events", f"frozen {int(frozen)}"
    _wait_until(lambda: wanted in state.read_text(), f"{group} did not become {'frozen' if frozen else 'thawed'}")


def kill(group: str) -> None:
    """Kill every process of `group`, frozen or not. Return when the last one is gone."""

    def gone() -> bool:
        left = processes(group)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for directory in _tree(hierarchies()[0] / ROOT / group):
            for file, thawed in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
                # v1's frozen don't die before, v2's would freeze their successors.
                with suppress(OSError):
                    if (directory / file).exists():
                        (directory / file).write_text(thawed)
        return not left

    _wait_until(gone, f"processes of {group} survived SIGKILL")


def remove(group: str) -> None:
    """Remove the empty `group` from every hierarchy, and the lab's own folder with the last one."""
    for hierarchy in hierarchies(CONTAINERS):
        for directory in _tree(hierarchy / ROOT / group):
            _wait_until(partial(_rmdir, directory), f"{directory} is still in use")
        try:
            (hierarchy / ROOT).rmdir()
        except OSError:  # another lab's, or never made
            continue


def _tree(directory: Path) -> Iterable[Path]:
    """Return `directory` and the groups below it, deepest first."""
    return [Path(path) for path, _, _ in os.walk(directory, topdown=False)]


def _rmdir(directory: Path) -> bool:
    try:
        directory.rmdir()
    except FileNotFoundError:
        return True
    except OSError:  # the kernel has not forgotten the last process yet
        return False
    return True


def _wait_until(done: Callable[[], bool], failure: str, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise LabError(f"{failure} within {seconds:g} s")
        time.sleep(0.005)
