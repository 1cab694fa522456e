"""Changes of several files that happen all or not at all, and can be taken back afterwards."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress
from typing import Iterator, List, NamedTuple, Tuple

from singularity import backups, selinux
from singularity.errors import Refused
from singularity.paths import Place, shown

NEW_FILE_MODE = 0o644


class Change(NamedTuple):
    """What the file `path` (absolute, as in the guest) shall hold; None: that it shall be gone.

    Without `mode`, `uid`, `gid` a file keeps its own; a new one gets its folder's owner, and is readable by all
    unless its folder is closed to them.
    """

    path: str
    content: bytes | None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None


class _Step:
    def __init__(self, place: Place, change: Change, old: int | None = None) -> None:
        self.place = place
        self.change = change
        self.old = old  # the file as it was, open
        self.staged: str | None = None
        self.saved: str | None = None  # the file as it was, under another name
        self.made: List[Tuple[int, str]] = []  # folders, each by its own folder
        self.done = False


class Transaction:
    """Changes under way: `add` each, `stage`, `commit`; then either `undo` or `keep`, which let go of everything."""

    def __init__(self, backup: bool, restore_labels: bool) -> None:
        self._backup = backup
        self._restore_labels = restore_labels
        self._steps: List[_Step] = []
        self._at = ""  # the path that is worked on

    @property
    def paths(self) -> List[str]:
        """The paths that are changed, as they were named."""
        return [step.change.path for step in self._steps]

    def add(self, place: Place, change: Change, old: int | None) -> None:
        """Take over a place, and the file that is there now, open for reading. Raise Refused for one it has already."""
        self._steps.append(_Step(place, change, old))
        for step in self._steps[:-1]:
            if step.place.path == place.path:
                raise Refused(f"{shown(place.path)} is to be changed twice at once")

    def open(self, place: Place, change: Change, old: int | None) -> int:
        """Take over a place as `add` does, and return the file to write to, which `commit` puts there."""
        self.add(place, change, old)
        self._at = place.path
        with self._undoing():
            return self._create(self._steps[-1])

    def stage(self) -> None:
        """Write the new files beside the old ones. Raise Refused when one can't be; then nothing is left of any."""
        with self._undoing():
            for step in self._steps:
                if step.change.content is not None and not step.staged:
                    self._at = step.place.path
                    _write(self._create(step), step.change.content)

    def commit(self) -> None:
        """Make all changes. Raise Refused when one can't be made; then everything is as it was."""
        self.stage()
        with self._undoing():
            for step in self._steps:
                self._at = step.place.path
                self._exchange(step)
        for step in self._steps:
            with suppress(OSError):  # it has no effect on some file systems
                _sync(step.place.parent)
        if self._restore_labels:
            selinux.restore([path for step in self._steps if step.old is None and step.done for path in _new(step)])

    def undo(self) -> None:
        """Put everything back as it was, as far as the system lets us."""
        for step in reversed(self._steps):
            parent, name = step.place.parent, step.place.name
            with suppress(OSError):
                if step.done and step.saved:
                    os.rename(step.saved, name, src_dir_fd=parent, dst_dir_fd=parent)
                    step.saved = None
                elif step.done and step.old is None:
                    os.unlink(name, dir_fd=parent)
            for leftover in (step.staged, None if step.done else step.saved):
                if leftover:
                    with suppress(OSError):
                        os.unlink(leftover, dir_fd=parent)
            for folder, made in reversed(step.made):
                with suppress(OSError):
                    os.rmdir(made, dir_fd=folder)
        self._close()

    def keep(self) -> None:
        """Let the changes stand: old files become backups, or go."""
        for step in self._steps:
            folder = os.path.dirname(step.place.path)
            if self._backup:
                backups.reap(step.place.name, folder, step.place.parent)
            elif step.saved:
                with suppress(OSError):
                    os.unlink(step.saved, dir_fd=step.place.parent)
        self._close()

    def _create(self, step: _Step) -> int:
        """Make the new file beside the old one, empty, with owner, mode and label; return it open."""
        _make_folders(step)
        parent = os.fstat(step.place.parent)
        name = _temporary_name()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        new = os.open(name, flags, 0o600, dir_fd=step.place.parent)
        step.staged = name
        try:
            old = os.fstat(step.old) if step.old is not None else None
            own(new, step.change, old, parent, closed=step.place.path.count("/") > 1 and not parent.st_mode & 0o077)
            if step.old is not None:
                selinux.copy(step.old, new, access=step.change.mode is None)
        except BaseException:
            os.close(new)
            raise
        return new

    def _exchange(self, step: _Step) -> None:
        parent, name = step.place.parent, step.place.name
        if step.old is not None:
            spare = backups.name_for(name, os.path.dirname(step.place.path)) if self._backup else _temporary_name()
            try:
                os.link(name, spare, src_dir_fd=parent, dst_dir_fd=parent, follow_symlinks=False)
            except OSError:  # a file system without links: the name is free for a moment
                os.rename(name, spare, src_dir_fd=parent, dst_dir_fd=parent)
                step.done = True
            step.saved = spare
        if step.staged:
            os.rename(step.staged, name, src_dir_fd=parent, dst_dir_fd=parent)
            step.staged = None
        elif not step.done:
            os.unlink(name, dir_fd=parent)
        step.done = True

    @contextmanager
    def _undoing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.undo()
            raise Refused(f"{shown(self._at)} can not be written: {error.strerror}") from error
        except BaseException:
            self.undo()
            raise

    def _close(self) -> None:
        for step in self._steps:
            if step.old is not None:
                os.close(step.old)
            for folder, _ in step.made:
                os.close(folder)
            step.place.close()
        self._steps = []


def own(file: int, change: Change, old: os.stat_result | None, parent: os.stat_result, closed: bool) -> None:
    """Give an open new file the owner and mode that `change` wants, else those of `old`.

    Where that is None, too, it gets the owner of its folder `parent`, and with `closed` others can't read it.
    """
    now = os.fstat(file)
    kept = old or (parent if os.geteuid() == 0 else now)
    uid = kept.st_uid if change.uid is None else change.uid
    gid = kept.st_gid if change.gid is None else change.gid
    if (uid, gid) != (now.st_uid, now.st_gid):
        os.fchown(file, uid, gid)
    if change.mode is not None:
        mode = change.mode & 0o7777
    elif old is not None:
        mode = stat.S_IMODE(old.st_mode)
    else:
        mode = NEW_FILE_MODE & 0o700 if closed else NEW_FILE_MODE
    os.fchmod(file, mode)


def _write(file: int, content: bytes) -> None:
    """Write all of `content`, see it on the disk, and close the file."""
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(file, rest) :]
        os.fsync(file)
    finally:
        os.close(file)


def _make_folders(step: _Step) -> None:
    """Make the folders that are missing on the way, owned as those above; an .ssh is its owner's alone."""
    place = step.place
    for name in place.missing:
        above = os.fstat(place.parent)
        try:
            os.mkdir(name, 0o700, dir_fd=place.parent)
            step.made.append((os.dup(place.parent), name))
            made = True
        except FileExistsError:  # made by another change of this transaction
            made = False
        folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.parent)
        os.close(place.parent)
        place.parent = folder
        if made:
            if os.geteuid() == 0:
                os.fchown(folder, above.st_uid, above.st_gid)
            os.fchmod(folder, 0o700 if name == ".ssh" else 0o755)
    place.missing = ()


def _new(step: _Step) -> Iterator[str]:
    """Yield the path of a new file, and those of the folders that were made for it."""
    path = step.place.path
    yield path
    for _ in step.made:
        path = os.path.dirname(path)
        yield path


def _temporary_name() -> str:
    return f".singularity-{os.urandom(8).hex()}~"


def _sync(folder: int) -> None:
    readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.fsync(readable)
    finally:
        os.close(readable)
