"""HTTP basic credentials (RFC 7617)."""

from __future__ import annotations

import base64
import binascii

SECURITY = {"type": "http", "scheme": "basic"}


def basic_credentials(header: str) -> tuple[str, str] | None:
    """Return user and password of an `Authorization: Basic` header, None of others. A password may hold colons."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None
