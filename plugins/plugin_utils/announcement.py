# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is announced of virtual machines by mDNS, read without trust in who announces it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from uuid import UUID

PIECES = 9
MAX_TEXT_BYTES = 8900
"""As much as a multicast DNS message holds (RFC 6762, 17)."""
MAX_NAME, MAX_URI, MAX_OWNER = 2000, 250, 255
TAKEN = ("localhost", "127.0.0.1", "all", "ungrouped")
"""What Ansible itself calls a host or a group."""
UUID_LIKE = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
HOST_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")


@dataclass(frozen=True)
class Announcement:
    """What is told of a virtual machine; `host` is who told it, `uri` its hypervisor."""

    name: str
    uuid: str
    uri: str
    owner: str
    host: str


def read_announcement(instance: str, host: str, text: bytes) -> Announcement | None:
    """Return what the TXT record of an instance says; None when it is not as the role vm_announce makes them.

    What can't be shown of a name is replaced by U+FFFD; an owner or a URI with such characters is refused.
    """
    if len(text) > MAX_TEXT_BYTES:
        return None
    pairs = _pairs(text)
    try:
        uuid = str(UUID(pairs.get("uuid", b"").decode()))
        uri, owner = pairs.get("uri", b"").decode(), _joined(pairs, "owner").decode()
        name = _joined(pairs, "name").decode() or instance
    except ValueError:
        return None
    if not uri or not (uri + owner).isprintable() or " " in uri:
        return None
    if len(uri) > MAX_URI or len(owner) > MAX_OWNER or len(name) > MAX_NAME:
        return None
    shown = "".join(character if character.isprintable() else "\ufffd" for character in name)
    return Announcement(shown, uuid, uri, owner, host.rstrip("."))


def allows(patterns: list[str], uri: str) -> bool:
    """Return whether one of the patterns has this URI. `*` in them stands for letters, digits, `.`, `_` and `-` only.

    What else there may be in a URI leads elsewhere: its parameters can name a command for libvirt to run.
    """
    return any(
        re.fullmatch("[A-Za-z0-9._-]*".join(re.escape(part) for part in pattern.split("*")), uri)
        for pattern in patterns
    )


def host_names(announcements: list[Announcement]) -> dict[str, Announcement]:
    """Return the announcements by what their machines are called in an inventory.

    That is the machine's name where it is the only one of that name, and the name is fit for a host; else its UUID.
    """
    unique = {announcement.uuid: announcement for announcement in announcements}
    names = Counter(announcement.name for announcement in unique.values())
    return {
        announcement.name if names[announcement.name] == 1 and _is_fit(announcement.name) else uuid: announcement
        for uuid, announcement in unique.items()
    }


def group_name(kind: str, name: str) -> str:
    """Return the name of a group, with `_` for what Ansible does not take in one."""
    return f"{kind}_{re.sub(r'[^A-Za-z0-9_]', '_', name)}"


def _is_fit(name: str) -> bool:
    return name not in TAKEN and HOST_NAME.fullmatch(name) is not None and UUID_LIKE.fullmatch(name) is None


def _pairs(text: bytes) -> dict[str, bytes]:
    """Return the keys and values of a TXT record; of a key that comes twice the first counts (RFC 6763, 6.4)."""
    pairs: dict[str, bytes] = {}
    while text:
        string, text = text[1 : 1 + text[0]], text[1 + text[0] :]
        key, _, value = string.partition(b"=")
        pairs.setdefault(key.decode("ascii", "replace").lower(), value)
    return pairs


def _joined(pairs: dict[str, bytes], key: str) -> bytes:
    """Return a value that may go on in `key2`, `key3` and so on."""
    value = pairs.get(key, b"")
    for number in range(2, PIECES + 1):
        piece = pairs.get(f"{key}{number}")
        if piece is None:
            break
        value += piece
    return value
