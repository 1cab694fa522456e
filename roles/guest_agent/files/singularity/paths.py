"""Which paths may be touched, and how one is reached below a root: no symbolic link is left to the kernel to follow."""

from __future__ import annotations

import os
import stat
from fnmatch import fnmatchcase
from typing import List, Sequence, Set, Tuple

from singularity.errors import Refused

KERNEL = ("/dev", "/proc", "/sys")
"""What is no file to write to, whoever allows it."""
_LONGEST = 4095  # PATH_MAX without its NUL
_LONGEST_NAME = 255
_DEEPEST = 200
_LINKS = 40  # as many as the kernel follows


class Policy:
    """Lists of what is allowed and denied: folders, or shell patterns, which reach below what they match.

    `*` stays within a name, `**` stands for any number of names. One that does not begin with `/` matches in any folder.
    An empty allow-list allows everything; deny wins.
    """

    def __init__(self, allow: Sequence[str] = (), deny: Sequence[str] = ()) -> None:
        self._allow = [_pattern(text) for text in allow]
        self._deny = [_pattern(text) for text in deny]

    def check(self, path: str) -> None:
        """Raise Refused unless `path` may be touched."""
        parts = _parts(path)
        if any(_matches(pattern, parts) for pattern in self._deny):
            raise Refused(f"{shown(path)} is on the list of denied paths")
        if self._allow and not any(_matches(pattern, parts) for pattern in self._allow):
            raise Refused(f"{shown(path)} is not on the list of allowed paths")


class Place:
    """A name in a folder that is held open, so that nobody can move it away: use it as a context manager.

    `path` is where it really is, below the root; `missing` are the folders to be made between the open one and it.
    """

    def __init__(self, parent: int, name: str, path: str, missing: Tuple[str, ...], owners: Set[int]) -> None:
        self.parent = parent
        self.name = name
        self.path = path
        self.missing = missing
        self._owners = owners - {0, os.geteuid()}

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the folder."""
        if self.parent >= 0:
            os.close(self.parent)
            self.parent = -1

    def status(self) -> os.stat_result | None:
        """Return what lstat says of the name; None where nothing has it. Raise Refused as `trust` does."""
        if self.missing:
            found = None
        else:
            try:
                found = os.stat(self.name, dir_fd=self.parent, follow_symlinks=False)
            except FileNotFoundError:
                found = None
        self.trust(found)
        return found

    def trust(self, found: os.stat_result | None) -> None:
        """Raise Refused where a user's link led to what is not that user's own."""
        for owner in self._owners:
            if os.fstat(self.parent).st_uid != owner or (found is not None and found.st_uid != owner):
                raise Refused(f"a link of user {owner} leads to {shown(self.path)}, which is not theirs")


def normal(path: str | bytes) -> str:
    """Return an absolute path without empty parts and dots; bytes become surrogates. Raise Refused for any other."""
    path = os.fsdecode(path)
    try:
        raw = os.fsencode(path)
    except UnicodeEncodeError as error:
        raise Refused("a path has a character that no file name can have") from error
    if not path.startswith("/") or "\0" in path:
        raise Refused(f"{shown(path)} is no absolute path")
    parts = _parts(path)
    if len(raw) > _LONGEST or any(len(os.fsencode(part)) > _LONGEST_NAME for part in parts):
        raise Refused(f"{shown(path)} is too long for a path")
    if ".." in parts:
        raise Refused(f"{shown(path)} goes up: say where it leads")
    return "/" + "/".join(parts)


def shown(path: str) -> str:
    """Return `path` as a message can name it: short, and nothing but printable ASCII."""
    text = path.encode("utf-8", "surrogateescape").decode("ascii", "backslashreplace")
    text = "".join(character if " " <= character <= "~" else "?" for character in text)
    return text if len(text) <= 200 else text[:197] + "..."


def reach(root: int, path: str, follow: bool = True) -> Place:
    """Return the place of `path` below the folder that is open as `root`.

    Links are followed as on a system whose root that folder is, so that none leads out; the last name only with
    `follow`. Raise Refused where that ends nowhere, OSError as the system does.
    """
    todo = _parts(path)[::-1]
    folders = [os.dup(root)]
    names: List[str] = []
    owners: Set[int] = set()
    links = 0
    try:
        while todo:
            part = todo.pop()
            if part == "..":
                if names:
                    names.pop()
                    os.close(folders.pop())
                continue
            if not todo and not follow:
                return _place(folders, names, part, (), owners)
            try:
                found = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folders[-1])
            except FileNotFoundError:
                rest = [part, *todo[::-1]]
                if ".." in rest:
                    raise Refused(f"{shown(path)} leads through a folder that is not there") from None
                return _place(folders, names, rest[-1], tuple(rest[:-1]), owners)
            kind = os.fstat(found)
            if stat.S_ISLNK(kind.st_mode):
                target = os.readlink("", dir_fd=found)
                os.close(found)
                owners.add(kind.st_uid)
                links += 1
                if links > _LINKS:
                    raise Refused(f"{shown(path)} leads through too many links")
                if target.startswith("/"):
                    names.clear()
                    while len(folders) > 1:
                        os.close(folders.pop())
                todo += _parts(target)[::-1]
            elif not todo:
                os.close(found)
                return _place(folders, names, part, (), owners)
            elif not stat.S_ISDIR(kind.st_mode) or len(folders) > _DEEPEST:
                os.close(found)
                raise Refused(f"{shown('/'.join(['', *names, part]))} is no folder to go through")
            else:
                folders.append(found)
                names.append(part)
        raise Refused(f"{shown(path)} is a folder")
    finally:
        for folder in folders:
            os.close(folder)


def _place(folders: List[int], names: List[str], name: str, missing: Tuple[str, ...], owners: Set[int]) -> Place:
    return Place(folders.pop(), name, "/" + "/".join([*names, *missing, name]), missing, owners)


def _pattern(text: str) -> List[str]:
    return _parts(text) if text.startswith("/") else ["**", *_parts(text)]


def _parts(path: str) -> List[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _matches(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    """Tell whether `pattern` matches the path of `parts`, or a folder above it."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(_matches(pattern[1:], parts[at:]) for at in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(pattern[1:], parts[1:])
