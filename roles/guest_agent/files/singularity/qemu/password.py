"""guest-set-user-password."""

from __future__ import annotations

from typing import Any

from .. import accounts
from ..errors import Refused
from .base64_text import decoded
from .session import Session


def set_user_password(session: Session, username: str, password: str, crypted: bool) -> dict[str, Any]:
    """Set a password; it comes as Base64 of the text, or of the hash as shadow(5) has it."""
    plain = decoded(password)
    forbidden = b"\n:\0" if crypted else b"\n\0"
    if any(byte in plain for byte in forbidden):
        raise Refused("forbidden characters in the password")
    made = accounts.set_password(session.guest.files, username, plain, crypted)
    session.guest.cache.update("password", username, made)
    return {}
