"""The guest's files: read, replaced all or none, and never outside the allowed paths or the root."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, Iterator, List, Sequence

from singularity.errors import Refused
from singularity.handle import Staged, flags_of
from singularity.paths import KERNEL, Place, Policy, normal, reach, shown
from singularity.transaction import Change, Transaction

__all__ = ["Change", "Files"]

MOST = 16 << 20
"""Bytes of a file that is read whole."""
_PIECE = 1 << 16
_SECRET = ("/etc/shadow", "/etc/gshadow")


class Files:
    """The files below `root`, those that the patterns `allow` and `deny` let through (see paths.Policy).

    With `backup`, what is replaced stays beside it for a while. With `noop` nothing is written: `diffs` collects what
    would change.
    """

    def __init__(
        self, root: str, allow: Sequence[str] = (), deny: Sequence[str] = (), backup: bool = True, noop: bool = False
    ) -> None:
        self.root = root
        self.backup = backup
        self.noop = noop
        self.diffs: List[str] = []
        self._policy = Policy(allow, deny)
        self._kernel = Policy((), KERNEL)

    @property
    def live(self) -> bool:
        """Whether these are the files of the running system."""
        return os.path.realpath(self.root) == "/"

    def own(self, backup: bool | None = None) -> Files:
        """Return the same files for the agent's own work (shadow, the network, its cache), which no list restricts."""
        files = Files(self.root, (), (), self.backup if backup is None else backup, self.noop)
        files.diffs = self.diffs
        return files

    def read(self, path: str, most: int = MOST) -> bytes | None:
        """Return what a file holds; None where there is none. Raise Refused for what may not or can not be read."""
        with _refusing(path), self._place(path) as place:
            file = _open_old(place)
            if file is None:
                return None
            content = _whole(file, most + 1)
        if len(content) > most:
            raise Refused(f"{shown(path)} has more than {most} bytes")
        return content

    def replace(self, changes: Sequence[Change]) -> List[str]:
        """Make all changes or none, and return the paths that were changed: identical files are left alone.

        Raise Refused when a path may not be touched, or something can't be written: then all is as it was before.
        """
        transaction = self.prepare(changes)
        transaction.commit()
        paths = transaction.paths
        transaction.keep()
        return paths

    def prepare(self, changes: Sequence[Change]) -> Transaction:
        """Write what `changes` want beside the files there are: `commit` makes all or none of them, or `undo`."""
        if self.noop:
            self.diffs += [text for text in map(self._diff, changes) if text]
            return Transaction(self.backup, False)
        transaction = Transaction(self.backup, restore_labels=self.live)
        try:
            for change in changes:
                self._add(transaction, change)
        except BaseException:
            transaction.undo()
            raise
        transaction.stage()
        return transaction

    def diff(self, changes: Sequence[Change]) -> str:
        """Return what `replace` would change, as a unified diff; the hashes of passwords are left out."""
        return "".join(map(self._diff, changes))

    def exists(self, path: str) -> bool:
        """Tell whether something is there, be it a folder or a program."""
        with suppress(Refused, OSError), self._place(path) as place:
            return place.status() is not None
        return normal(path) == "/"

    def link(self, path: str) -> str | None:
        """Return where a symbolic link says it leads; None for anything else."""
        with suppress(Refused, OSError), self._place(path, follow=False) as place:
            if not place.missing:
                return os.readlink(place.name, dir_fd=place.parent)
        return None

    def names(self, folder: str) -> List[str]:
        """Return the names in a folder, sorted; none where there is no such folder."""
        with suppress(Refused, OSError), self._place(folder) as place:
            if place.missing:
                return []
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            opened = os.open(place.name, flags, dir_fd=place.parent)
            try:
                return sorted(os.listdir(opened))
            finally:
                os.close(opened)
        return []

    def open_for(self, path: str, mode: str) -> BinaryIO:
        """Open a regular file as fopen(3) would with `mode`: r, r+, w, w+, a, a+, each perhaps with b.

        What is opened by w is staged: `close` puts it in its place, or raises Refused and leaves all as it was.
        """
        flags, staged = flags_of(mode)
        writing = flags & os.O_ACCMODE != os.O_RDONLY
        if writing and self.noop:
            raise Refused(f"{shown(path)} is not written: nothing is, today")
        with _refusing(path):
            if staged:
                return self._stage(path)
            with self._place(path, writing=writing) as place:
                if place.status() is None and flags & os.O_CREAT:
                    place.close()
                    self.replace([Change(path, b"")])
                    return self.open_for(path, mode)
                file = _open_old(place, flags & ~os.O_CREAT, alone=writing)
                if file is None:
                    raise Refused(f"{shown(path)} does not exist")
                kinds = {os.O_RDONLY: "rb", os.O_WRONLY: "ab"}
                opened: Any = os.fdopen(file, kinds.get(flags & os.O_ACCMODE, "r+b"))
                return opened  # type: ignore[no-any-return]

    def _place(self, path: str, follow: bool = True, writing: bool = False) -> Place:
        """Return the place of `path`, which both as it is named and as it really is may be touched."""
        path = normal(path)
        policies = (self._policy, self._kernel) if writing else (self._policy,)
        for policy in policies:
            policy.check(path)
        try:
            root = os.open(self.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise Refused(f"the root {shown(self.root)} can not be opened: {error.strerror}") from error
        try:
            place = reach(root, path, follow)
        finally:
            os.close(root)
        try:
            for policy in policies:
                policy.check(place.path)
        except BaseException:
            place.close()
            raise
        return place

    def _add(self, transaction: Transaction, change: Change) -> None:
        """Add a change to those under way, unless it is none."""
        with _refusing(change.path):
            place = self._place(change.path, follow=change.content is not None, writing=True)
            old = None
            try:
                gone = change.content is None
                old = _open_old(place, links=gone)
                if (gone and old is None) or (old is not None and _same(old, change)):
                    place.close()
                    if old is not None:
                        os.close(old)
                    return
            except BaseException:
                place.close()
                if old is not None:
                    os.close(old)
                raise
            transaction.add(place, change, old)

    def _stage(self, path: str) -> BinaryIO:
        place = self._place(path, writing=True)
        try:
            old = _open_old(place)
        except BaseException:
            place.close()
            raise
        transaction = Transaction(self.backup, restore_labels=self.live)
        return Staged(transaction, transaction.open(place, Change(path, b""), old), path)

    def _diff(self, change: Change) -> str:
        """Return one change as a unified diff; "" where it is none."""
        from singularity.showing import unified

        with _refusing(change.path), self._place(change.path, writing=True) as place:
            file = _open_old(place)
            if file is None:
                before, same = None, change.content is None
            else:
                same = _same(file, change)
                os.lseek(file, 0, os.SEEK_SET)
                before = _whole(file, MOST)
        return "" if same else unified(change, before, hidden=place.path in _SECRET)


def _open_old(place: Place, flags: int = os.O_RDONLY, links: bool = False, alone: bool = False) -> int | None:
    """Open the regular file at `place`; None where there is none. Raise Refused for any other thing.

    With `links` a symbolic link is opened, as itself. With `alone` a user's file must have no other name.
    """
    found = place.status()
    if found is None:
        return None
    if links and stat.S_ISLNK(found.st_mode):
        return os.open(place.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.parent)
    if not stat.S_ISREG(found.st_mode):  # looked at before it is opened: to open a device may do something
        raise Refused(f"{shown(place.path)} is no regular file")
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    file = os.open(place.name, flags, dir_fd=place.parent)
    try:
        found = os.fstat(file)
        place.trust(found)
        if not stat.S_ISREG(found.st_mode):
            raise Refused(f"{shown(place.path)} is no regular file")
        if alone and found.st_nlink > 1 and found.st_uid != os.fstat(place.parent).st_uid:
            raise Refused(f"{shown(place.path)} is another file as well, by a hard link")
    except BaseException:
        os.close(file)
        raise
    return file


def _whole(file: int, most: int) -> bytes:
    """Read an open file, and close it. It is read in pieces: /proc has no memory for more, and neither have we."""
    pieces = []
    with os.fdopen(file, "rb", buffering=0) as opened:
        while most > 0:
            piece = opened.read(min(most, _PIECE))
            if not piece:
                break
            pieces.append(piece)
            most -= len(piece)
    return b"".join(pieces)


def _same(old: int, change: Change) -> bool:
    """Tell whether an open file is as `change` wants it already."""
    found = os.fstat(old)
    wanted = ((change.mode, stat.S_IMODE(found.st_mode)), (change.uid, found.st_uid), (change.gid, found.st_gid))
    if change.content is None or found.st_size != len(change.content):
        return False
    if any(want is not None and want != have for want, have in wanted):
        return False
    return _whole(os.dup(old), len(change.content) + 1) == change.content


@contextmanager
def _refusing(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refused(f"{shown(path)}: {error.strerror or 'it can not be opened'}") from error
