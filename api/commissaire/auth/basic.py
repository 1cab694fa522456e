"""HTTP basic credentials (RFC 7617)."""

from __future__ import annotations

import base64
import binascii

SECURITY = {"type": "http", "scheme": "basic"}


def basic_credentials(header: str) -> tuple[str, str] | None:
    """Return user and password of an `Authorization: Basic` header, None of others. A password may hold colons.

    They are UTF-8, or else Latin-1, as Python's requests sends them, and so the commctl of Commissaire 0.0.6.
    """
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        pair = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    try:
        user, colon, password = pair.decode("utf-8").partition(":")
    except UnicodeDecodeError:
        user, colon, password = pair.decode("latin-1").partition(":")
    return (user, password) if colon else None
