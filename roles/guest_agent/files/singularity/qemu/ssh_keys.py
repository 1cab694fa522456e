"""guest-ssh-*: the keys that may log in as a user, one a line of authorized_keys (sshd(8))."""

from __future__ import annotations

from typing import Any, Iterable, Sequence

from .. import accounts
from ..errors import Refused
from ..files import Change
from .session import Session

FILE_BYTES_MOST = 1 << 20
PATH = ".ssh/authorized_keys"


def get(session: Session, username: str) -> dict[str, Any]:
    account, lines = _read(session, username)
    if lines is None:
        raise _missing(account)
    return {"keys": list(_keys(lines))}


def add(session: Session, username: str, keys: Sequence[str], reset: bool = False) -> dict[str, Any]:
    """Add the keys that are not there yet; with `reset` only they stay."""
    _check(keys)
    account, lines = _read(session, username)
    wanted = [] if reset else list(lines or ())
    for key in keys:
        if key not in wanted:
            wanted.append(key)
    _write(session, account, wanted)
    return {}


def remove(session: Session, username: str, keys: Sequence[str]) -> dict[str, Any]:
    _check(keys)
    account, lines = _read(session, username)
    if lines is None:
        raise _missing(account)
    _write(session, account, [line for line in lines if line not in keys])
    return {}


def _check(keys: Iterable[str]) -> None:
    for key in keys:
        if key.startswith("#") or any(end in key for end in "\n\r\0"):
            raise Refused(f"invalid OpenSSH public key: '{key}'")


def _keys(lines: Iterable[str]) -> Iterable[str]:
    return (line for line in lines if line and not line.startswith("#"))


def _read(session: Session, username: str) -> tuple[accounts.Account, list[str] | None]:
    """Return a user's account, and the lines of the file, comments too; None where there is no file."""
    account = accounts.account(session.guest.files, username)
    content = session.guest.files.read(_path(account), FILE_BYTES_MOST)
    if content is None:
        return account, None
    return account, content.decode(errors="surrogateescape").rstrip("\n").split("\n") if content.strip() else []


def _write(session: Session, account: accounts.Account, lines: Sequence[str]) -> None:
    content = "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape")
    session.guest.files.replace([Change(_path(account), content, 0o600, account.uid, account.gid)])


def _path(account: accounts.Account) -> str:
    return f"{account.home.rstrip('/')}/{PATH}"


def _missing(account: accounts.Account) -> Refused:
    return Refused(f"failed to read '{_path(account)}': No such file or directory")
