"""The user and group that the daemon runs as."""

from __future__ import annotations

import grp
import os
import pwd
from typing import NamedTuple, Optional, Tuple

from singularity.errors import SettingsError


class Identity(NamedTuple):
    """A user and a group, and the name of the user where the system has one."""

    uid: int
    gid: int
    name: Optional[str]

    def take(self) -> None:
        """Become this user, for good. Raises OSError."""
        if (os.geteuid(), os.getegid()) == (self.uid, self.gid):
            return
        if self.name:
            os.initgroups(self.name, self.gid)
        else:
            os.setgroups([self.gid])
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)


def find(user: Optional[str], group: Optional[str]) -> Optional[Identity]:
    """Return who --uid and --gid mean, names or numbers; None where neither is given. Raises SettingsError."""
    if user is None and group is None:
        return None
    uid, gid, name = _user(user) if user is not None else (os.geteuid(), os.getegid(), None)
    return Identity(uid, _group(group) if group is not None else gid, name)


def _user(user: str) -> Tuple[int, int, Optional[str]]:
    try:
        found = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError:
        if user.isdecimal():
            return int(user), int(user), None
        raise SettingsError(f"there is no user {user}") from None
    return found.pw_uid, found.pw_gid, found.pw_name


def _group(group: str) -> int:
    if group.isdecimal():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise SettingsError(f"there is no group {group}") from None
