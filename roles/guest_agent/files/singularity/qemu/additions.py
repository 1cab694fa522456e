"""Commands that QEMU's agent does not have: the nova dialect's functions, for hosts that reach us by virtio."""

from __future__ import annotations

from typing import Any, Mapping

from .. import __version__
from ..errors import Refused
from .base64_text import decoded
from .session import Session


def features(session: Session) -> dict[str, Any]:
    from .. import functions

    guest = session.guest
    return {"name": "singularity", "version": __version__, "features": functions.names(guest)}


def reset_network(session: Session, vm_data: Mapping[str, str]) -> dict[str, Any]:
    from .. import network

    network.reset(session.guest, vm_data)
    return {}


def update(
    session: Session, url: str, md5: str | None = None, sha256: str | None = None, signature: str | None = None
) -> dict[str, Any]:
    """Let another version take over, if it has the digest and, where the settings ask for one, the signature."""
    from ..functions import agentupdate

    digest = {"sha256": sha256} if sha256 else {"md5": md5}
    if not any(digest.values()):
        raise Refused("commissaire-agent-update needs md5 or sha256 of the program")
    return {"version": agentupdate.take(session.guest, {"url": url, **digest, "signature": signature})}


def inject_file(
    session: Session,
    path: str,
    buf_b64: str,
    mode: str | None = None,
    owner: str | None = None,
    group: str | None = None,
) -> dict[str, Any]:
    """Write a whole file, or leave it if it is so already: staged and renamed, with a backup, all like injectfile."""
    from ..files import Change

    change = Change(
        path, decoded(buf_b64), _mode(mode), _number(session, "passwd", owner), _number(session, "group", group)
    )
    return {"changed": bool(session.guest.files.replace([change]))}


def _mode(mode: str | None) -> int | None:
    """Return what an octal number says."""
    if mode is None:
        return None
    if not 3 <= len(mode) <= 5 or set(mode) - set("01234567"):
        raise Refused(f"mode '{mode}' is no octal number of permissions, such as 0644")
    return int(mode, 8) & 0o7777


def _number(session: Session, database: str, name: str | None) -> int | None:
    """Return the number of a user or group of the guest; a number stands for itself."""
    if name is None:
        return None
    if name.isascii() and name.isdigit():
        return int(name)
    for line in session.text(f"/etc/{database}").splitlines():
        fields = line.split(":")
        if fields[0] == name and len(fields) > 2 and fields[2].isdigit():
            return int(fields[2])
    raise Refused(f"the guest has no such {'user' if database == 'passwd' else 'group'}: '{name}'")
