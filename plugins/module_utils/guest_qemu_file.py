# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files within a guest, by the QEMU guest agent's dialect.

The dialect opens, reads and writes; modes, owners and renaming need commands (guest-exec). What guest-file-open makes
anew anybody may write to (mode 0666), so a file is made by a command first, beside the one it replaces.
"""

from __future__ import annotations

import base64
import contextlib
from typing import TYPE_CHECKING

from ansible_collections.commissaire.fleet.plugins.module_utils.guest_agent import GuestError, GuestRefused
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_file import NEW_MODE, GuestFile, Wanted
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_qemu import INJECT_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.commissaire.fleet.plugins.module_utils.guest_qemu import QemuGuest

MOST_INJECTED_BYTES = 65536
"""What is larger goes in pieces, also to an agent that could write it at once."""

LOOK = """
LC_ALL=C; export LC_ALL
if ! path=$(readlink -f -- "$1") || ! [ -e "$path" ]; then echo missing; exit 0; fi
if ! [ -f "$path" ]; then echo "it is no regular file" >&2; exit 1; fi
stat -c '%a %U %u %G %g' -- "$path"
"""
PREPARE = """
umask 022
path=$(readlink -f -- "$1") || path=
if [ -z "$path" ]; then mkdir -p -- "$(dirname -- "$1")" && path=$(readlink -f -- "$1") || exit 1; fi
new=$(mktemp -- "$path.XXXXXXXX") || exit 1
printf '%s\\n' "$path" "$new"
"""
PUT = """
path=$1 new=$2 mode=$3 owner=$4 group=$5
trap 'rm -f -- "$new"' EXIT
if [ -e "$path" ]; then
  chown -- "$(stat -c %u:%g -- "$path")" "$new" || exit 1
  mode=${mode:-$(stat -c %a -- "$path")}
fi
if [ -n "$owner" ]; then chown -- "$owner" "$new" || exit 1; fi
if [ -n "$group" ]; then chgrp -- "$group" "$new" || exit 1; fi
chmod -- "${mode:-0644}" "$new" || exit 1
mv -fT -- "$new" "$path" || exit 1
if command -v restorecon >/dev/null 2>&1; then restorecon -- "$path" || exit 1; fi
"""
ADJUST = """
if [ -n "$3" ]; then chown -- "$3" "$1" || exit 1; fi
if [ -n "$4" ]; then chgrp -- "$4" "$1" || exit 1; fi
if [ -n "$2" ]; then chmod -- "$2" "$1" || exit 1; fi
"""
REMOVE = """
if [ -d "$1" ] && ! [ -L "$1" ]; then echo "it is no regular file, but a folder" >&2; exit 1; fi
rm -f -- "$1"
"""
DROP = 'rm -f -- "$1"'


class QemuFiles:
    """The files of one guest. Paths are absolute; a link is followed, except to be removed."""

    def __init__(self, guest: QemuGuest) -> None:
        self._guest = guest
        self._has_shell = True

    def look(self, path: str, most: int) -> GuestFile | None:
        """Return a file with `most` bytes of its content, None when it is not there. Raise GuestError."""
        known = self._attributes(path)
        if known == ["missing"]:
            return None
        content, whole = bytearray(), True
        try:
            for piece in self.pieces(path):
                content += piece
                if len(content) > most:
                    whole = False
                    break
        except GuestRefused as error:
            if is_missing(error.reason):
                return None
            raise
        if len(known) != 5:
            return GuestFile(bytes(content), whole=whole)
        return GuestFile(bytes(content), known[0].zfill(4), (known[1], known[2]), (known[3], known[4]), whole)

    def is_there(self, path: str) -> bool:
        """Return whether there is a file, or a link. Raise GuestError."""
        script = 'if [ -e "$1" ] || [ -L "$1" ]; then echo there; fi'
        return bool(self._guest.demand(script, path, what=f"file {path}"))

    def pieces(self, path: str) -> Iterator[bytes]:
        """Yield a file's content piece by piece. Raise GuestError."""
        self._guest.require("guest-file-open")
        return self._guest.agent.pieces(path)

    def apply(self, path: str, plan: Wanted, before: GuestFile | None) -> bool:
        """Bring a file into the planned form, and return whether that has changed anything. Raise GuestError.

        Other processes see the old file or the new one, unless the agent allows no commands, and can't inject it whole.
        """
        content = plan.content
        if content is None and before is not None and before.whole and self._guest.can(INJECT_FILE):
            content = before.content
        if content is not None and len(content) <= MOST_INJECTED_BYTES and self._guest.can(INJECT_FILE):
            return self._inject(path, content, plan)
        if content is None:
            given_texts = [plan.mode or "", plan.owner or "", plan.group or ""]
            self._guest.demand(ADJUST, path, *given_texts, what=f"file {path}")
        elif self._guest.can("guest-exec") and self._has_shell:
            self._replace(path, content, plan)
        elif self._guest.can(INJECT_FILE):
            self._inject(path, b"", plan)
            self._guest.agent.write(path, content)
        elif (plan.mode in (None, NEW_MODE)) and not plan.owner and not plan.group and before is not None:
            self._guest.require("guest-file-open")
            self._guest.agent.write(path, content)  # what is there keeps its mode and owner
        else:
            self._guest.require("guest-exec")
            raise GuestError(f"file {path}: its guest agent can't run /bin/sh, which this takes")
        return True

    def remove(self, path: str) -> None:
        """Remove a file, or a link. Raise GuestError."""
        self._guest.demand(REMOVE, path, what=f"file {path}")

    def _attributes(self, path: str) -> list[str]:
        """Return a file's mode, owner and group as LOOK prints them; nothing where no command can be run for that."""
        if not self._guest.can("guest-exec") or not self._has_shell:
            return []
        try:
            return self._guest.demand(LOOK, path, what=f"file {path}").split()
        except GuestRefused:
            self._has_shell = False  # it runs commands, but there is no shell where it does
            return []

    def _inject(self, path: str, content: bytes, plan: Wanted) -> bool:
        """Let Commissaire's agent write a file, and return whether it had to: it knows what we may not have seen."""
        given = {"mode": plan.mode, "owner": plan.owner, "group": plan.group}
        told = self._guest.ask(INJECT_FILE, path=path, **{"buf-b64": base64.b64encode(content).decode()}, **given)
        return bool((told or {}).get("changed", True))

    def _replace(self, path: str, content: bytes, plan: Wanted) -> None:
        lines = self._guest.demand(PREPARE, path, what=f"file {path}").splitlines()
        if len(lines) != 2:
            raise GuestError(f"file {path}: a path with a line break can't be written; choose another")
        real, new = lines
        try:
            self._guest.agent.write(new, content)
            given = [plan.mode or "", plan.owner or "", plan.group or ""]
            self._guest.demand(PUT, real, new, *given, what=f"file {path}")
        except GuestError:
            with contextlib.suppress(GuestError):
                self._guest.shell(DROP, new)
            raise


def is_missing(reason: str) -> bool:
    """Return whether an agent's words say that there is no such file."""
    return "No such file or directory" in reason
