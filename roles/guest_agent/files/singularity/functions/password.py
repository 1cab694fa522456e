"""password: set root's password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singularity import base64_text
from singularity.errors import Refused
from singularity.key_exchange import INVALID

if TYPE_CHECKING:
    from singularity.channels import Channel
    from singularity.guest import Guest

NAME = "password"
ITEM = "password"
USER = "root"


def answer(value: Any, guest: Guest, channel: Channel) -> str:
    """Set the password that *value* is the cipher text of, after keyinit; its hash is kept. Raises Refused."""
    from singularity import accounts

    password = channel.exchange.decrypt(base64_text.decode(value))
    if not password:
        raise Refused(INVALID)
    guest.cache.update(NAME, USER, accounts.set_password(guest.files, USER, password))
    return ""


def apply(guest: Guest) -> None:
    """Set the passwords anew whose hashes were kept. Raises Refused."""
    from singularity import accounts

    kept = guest.cache.read(NAME, {})
    for user, hashed in (kept if isinstance(kept, dict) else {}).items():
        accounts.set_password(guest.files, user, str(hashed).encode(), crypted=True)
