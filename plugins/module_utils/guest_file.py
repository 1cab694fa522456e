# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a file within a guest is like, and what is to be done to it."""

from __future__ import annotations

from dataclasses import dataclass

NEW_MODE = "0644"
MOST_DIFF_BYTES = 65536


@dataclass(frozen=True)
class GuestFile:
    """A file that is there. What is None is not known; owner and group are told by name and by number."""

    content: bytes
    mode: str | None = None
    owner: tuple[str, ...] | None = None
    group: tuple[str, ...] | None = None
    whole: bool = True
    """Whether `content` is all of it: of a file that is larger than what is wanted only so much is read."""

    def facts(self) -> dict[str, str | None]:
        """Return its mode, owner and group as modules tell of them."""
        return {"mode": self.mode, "owner": (self.owner or (None,))[0], "group": (self.group or (None,))[0]}


@dataclass(frozen=True)
class Wanted:
    """What a file is to be like. What is None stays as it is."""

    content: bytes | None = None
    mode: str | None = None
    owner: str | None = None
    group: str | None = None


def plan_file(before: GuestFile | None, wanted: Wanted) -> Wanted | None:
    """Return what is to be changed of a file, None for nothing. Raise ValueError for one that is missing.

    What is not known of a file counts as different.
    """
    if before is None:
        if wanted.content is None:
            raise ValueError("it is not there; give its content")
        return Wanted(wanted.content, wanted.mode or NEW_MODE, wanted.owner, wanted.group)
    content = None if wanted.content is None or (before.whole and before.content == wanted.content) else wanted.content
    mode = None if wanted.mode is None or before.mode == wanted.mode else wanted.mode
    owner = None if wanted.owner is None or wanted.owner in (before.owner or ()) else wanted.owner
    group = None if wanted.group is None or wanted.group in (before.group or ()) else wanted.group
    plan = Wanted(content, mode, owner, group)
    return None if plan == Wanted() else plan


def octal(mode: str | int | None) -> str | None:
    """Return a mode as four octal digits. Raise ValueError for what is none."""
    if mode is None:
        return None
    try:
        number = mode if isinstance(mode, int) else int(mode, 8)
    except ValueError:
        number = -1
    if not 0 <= number <= 0o7777:
        raise ValueError(f"mode {mode} is not octal; write it as '0640'")
    return f"{number:04o}"


def is_secret(mode: str | None) -> bool:
    """Return whether others than owner and group may not read a file; of one whose mode is not known, too."""
    return mode is None or not int(mode, 8) & 0o004


def shown(content: bytes | None, secret: bool, whole: bool = True) -> str:
    """Return a file's content for a diff, or why it is not shown."""
    if content is None:
        return ""
    if secret:
        return "(the content is not shown)\n"
    if len(content) > MOST_DIFF_BYTES or not whole:
        return "(the content is too long to be shown)\n"
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return f"(binary, {len(content)} bytes)\n"
    return f"(binary, {len(content)} bytes)\n" if "\0" in text else text
