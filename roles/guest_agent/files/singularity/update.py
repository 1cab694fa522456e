"""A new version of the agent: fetched, checked, tried, and only then put in the place of the present one."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Optional

from singularity import download, signature, trial
from singularity.child import in_child
from singularity.crypto import hasher
from singularity.errors import Refused
from singularity.leftovers import NEW, SIGNATURE
from singularity.program import is_one_file
from singularity.programs import Deadline

if TYPE_CHECKING:
    from singularity.guest import Guest

MOST_BYTES = 16 * 2**20
MOST_SIGNATURE = 4096
CHECK_SECONDS = 10
FETCH_SECONDS = 16
TOGETHER_SECONDS = 24
"""All of it, but for the trial's end (trial.STOP_SECONDS): hosts wait 30 s."""
DIGESTS = {32: "md5", 64: "sha256", 128: "sha512"}
FORMER = ".former"


def update(guest: Guest, url: str, digest: str, signed: Optional[bytes] = None) -> str:
    """Let the program at *url* take over, if it is what *digest* says; return its version. Raises Refused.

    It is started on a socket of its own and asked; where it does not answer nothing was changed. *signed* is its
    signature, which is looked for at *url* + `.sig` where it is None and the settings ask for one.
    """
    present = program()
    new = f"{present}.{os.urandom(4).hex()}{NEW}"
    deadline = Deadline(TOGETHER_SECONDS)
    try:
        download.fetch(url, new, MOST_BYTES, FETCH_SECONDS)
        in_child(lambda: _check(new, digest), min(CHECK_SECONDS, deadline.left()))
        if guest.settings.update_key:
            key = guest.settings.update_key
            signed = _fetch_signature(url, new, deadline) if signed is None else signed
            in_child(lambda: _check_signature(key, new, signed or b""), min(CHECK_SECONDS, deadline.left()))
        if not is_one_file(new):
            raise Refused("The new version is no program of one file, as zipapp makes them")
        mode = os.stat(present)
        os.chown(new, mode.st_uid, mode.st_gid)
        os.chmod(new, mode.st_mode & 0o7777)
        version = trial.ask(new, guest.settings, min(trial.SECONDS, deadline.left()))
        guest.succeed(new)
    except BaseException:
        _remove(new)
        raise
    return version


def is_present(digest: str) -> bool:
    """Return whether the running program has this digest. Raises Refused."""
    return _digest(program(), len(digest)) == digest


def program() -> str:
    """Return the path of the running program. Raises Refused where it is not one file that could be replaced."""
    path = os.path.abspath(sys.argv[0])
    if not is_one_file(path):
        raise Refused("This agent was not installed as one file, so that no other can replace it")
    return path


def install(new: str) -> None:
    """Put *new* in the place of the running program, of which a copy remains. Raises OSError."""
    present = program()
    _remove(present + FORMER)
    os.link(present, present + FORMER)
    os.replace(new, present)
    _restore_context(present)


def roll_back() -> None:
    """Put the former program back. Raises OSError."""
    path = os.path.abspath(sys.argv[0])
    os.replace(path + FORMER, path)


def _check(path: str, wanted: str) -> bytes:
    if _digest(path, len(wanted)) != wanted:
        raise Refused("The new version has another digest than it should have")
    return b""


def _digest(path: str, size: int) -> str:
    name = DIGESTS.get(size)
    if name is None:
        raise Refused(f"The digest is none of {', '.join(DIGESTS.values())}")
    made = hasher(name)
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(65536), b""):
            made.update(piece)
    return str(made.hexdigest())


def _fetch_signature(url: str, path: str, deadline: Deadline) -> bytes:
    fetched = path + SIGNATURE
    try:
        download.fetch(url + SIGNATURE, fetched, MOST_SIGNATURE, min(FETCH_SECONDS / 3, deadline.left()))
        with open(fetched, "rb") as file:
            return file.read()
    finally:
        _remove(fetched)


def _check_signature(key: str, path: str, signed: bytes) -> bytes:
    if not signature.verify(key, signed, path):
        raise Refused("The new version is not signed by the key that signs updates")
    return b""


def _restore_context(path: str) -> None:
    """Give the program the SELinux context of its place, where there is SELinux."""
    import subprocess

    if os.path.exists("/sys/fs/selinux/enforce"):
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run(["restorecon", path], stderr=subprocess.DEVNULL, timeout=10)


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
