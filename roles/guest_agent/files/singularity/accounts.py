"""The guest's users: who they are, and the passwords they log in with."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import contextmanager
from typing import Iterator, List, NamedTuple

from singularity import hashing
from singularity.errors import Refused
from singularity.files import Change, Files
from singularity.paths import reach, shown

PASSWD, SHADOW, LOCK = "/etc/passwd", "/etc/shadow", "/etc/.pwd.lock"
LOCK_SECONDS = 10.0  # lckpwdf(3) takes up to 15
_DAY = 86400


class Account(NamedTuple):
    """A user of the guest, as passwd has it."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str


def account(files: Files, user: str) -> Account:
    """Return the account of `user`. Raise Refused where the guest's own passwd has none."""
    for line in (files.own().read(PASSWD) or b"").split(b"\n"):
        fields = line.split(b":")
        if len(fields) == 7 and fields[0] == os.fsencode(user) and user:
            try:
                uid, gid = int(fields[2]), int(fields[3])
            except ValueError:
                break
            return Account(user, uid, gid, os.fsdecode(fields[5]), os.fsdecode(fields[6]))
    raise Refused(f"there is no user {shown(user)} in {PASSWD}")


def set_password(files: Files, user: str, password: bytes, crypted: bool = False) -> str:
    """Let `user` log in with `password`, or with the one it is the hash of (`crypted`); return the hash.

    It goes where the system looks for it: to shadow, else to passwd, under the lock that passwd(1) takes. Raise Refused
    for an unknown user, a password no system can have, or where something can't be written.
    """
    account(files, user)
    own = files.own()
    if crypted:
        made = password.decode("ascii", "replace")
        if not hashing.is_hash(made):
            raise Refused("that is no hash of a password as crypt(3) makes them")
    else:
        made = hashing.hashed(password, hashing.method(own.read("/etc/login.defs")))
    with _locked(own):
        own.replace(_plan(user, made, own.read(PASSWD) or b"", own.read(SHADOW), int(time.time()) // _DAY))
    return made


def _plan(user: str, made: str, passwd: bytes, shadow: bytes | None, day: int) -> List[Change]:
    """Return the changes that make `made` the hash of `user`, whose password is changed on `day` since 1970."""
    name, value = os.fsencode(user), made.encode("ascii")
    if shadow is None:
        return [Change(PASSWD, _with_field(passwd, name, {1: value}))]
    changes = [Change(PASSWD, _with_field(passwd, name, {1: b"x"}))]
    known = any(line.split(b":")[0] == name for line in shadow.split(b"\n"))
    if known:
        held = next(line.split(b":") for line in shadow.split(b"\n") if line.split(b":")[0] == name)
        same = len(held) > 1 and held[1] == value
        shadow = shadow if same else _with_field(shadow, name, {1: value, 2: b"%d" % day})
    else:
        shadow += b"" if shadow.endswith(b"\n") or not shadow else b"\n"
        shadow += b"%s:%s:%d:0:99999:7:::\n" % (name, value, day)
    return [*changes, Change(SHADOW, shadow)]


def _with_field(content: bytes, name: bytes, fields: dict[int, bytes]) -> bytes:
    """Return a file of lines with colons whose line `name` has these `fields`; all others stay as they are."""
    lines = content.split(b"\n")
    for number, line in enumerate(lines):
        parts = line.split(b":")
        if parts[0] == name and len(parts) > max(fields):
            lines[number] = b":".join(fields.get(at, part) for at, part in enumerate(parts))
            break
    return b"\n".join(lines)


@contextmanager
def _locked(files: Files) -> Iterator[None]:
    """Hold the lock of passwd(1) and its kin, as lckpwdf(3) does. Raise Refused when another holds it for long."""
    if files.noop:
        yield
        return
    lock = _open_lock(files)
    try:
        end = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EAGAIN) or time.monotonic() > end:
                    raise Refused(f"{LOCK} is held: another program changes users just now") from error
            time.sleep(0.05)  # the kernel tells nobody when it is free, but a signal would be taken from the daemon
        yield
    finally:
        os.close(lock)


def _open_lock(files: Files) -> int:
    try:
        root = os.open(files.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with reach(root, LOCK, follow=False) as place:
                flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                return os.open(place.name, flags, 0o600, dir_fd=place.parent)
        finally:
            os.close(root)
    except OSError as error:
        raise Refused(f"{LOCK} can not be opened: {error.strerror}") from error
