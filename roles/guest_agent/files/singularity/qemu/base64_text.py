"""Base64, as it stands in messages."""

from __future__ import annotations

import binascii

from ..errors import Refused

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def decoded(text: str) -> bytes:
    """Return what base64 text means; line ends in it are allowed. Raise Refused for what is none, or is cut off."""
    data = text.encode("ascii", errors="replace").translate(None, b"\r\n")
    bare = data.rstrip(b"=")
    if bare.translate(None, ALPHABET):
        raise Refused("Base64 data contains invalid characters")
    if len(data) % 4 or len(data) - len(bare) > 2:
        raise Refused("Base64 data is cut off: its length is no multiple of four")
    return binascii.a2b_base64(data)


def encoded(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()
