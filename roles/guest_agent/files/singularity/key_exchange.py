"""The key exchange that hides a password on its way: Diffie-Hellman, then AES-128-CBC.

The group is nova's, and so small that the exchange hides a password from a passer-by and no more.
"""

from __future__ import annotations

import os
from typing import Optional

from singularity import crypto
from singularity.child import in_child
from singularity.errors import Refused

PRIME = 2**107 - 1
BASE = 5
BLOCK = 16
SECONDS = 15
INVALID = "Invalid password data received"


class KeyExchange:
    """One side of the exchange; its key serves for one password."""

    def __init__(self) -> None:
        self._shared: Optional[int] = None

    @property
    def is_open(self) -> bool:
        """Whether a password is to come."""
        return self._shared is not None

    def begin(self, public: int) -> int:
        """Take the other side's public key, forget any former one, and return one's own. Raises Refused."""
        self._shared = None
        if not 1 < public < PRIME - 1:
            raise Refused("Invalid public key")
        private = 2 + int.from_bytes(os.urandom(16), "big") % (PRIME - 3)
        self._shared = pow(public, private, PRIME)
        return pow(BASE, private, PRIME)

    def decrypt(self, data: bytes) -> bytes:
        """Return the password that *data* is the cipher text of, and forget the key. Raises Refused.

        A child does it, so that the daemon does not have a library of 4 MB in memory from then on.
        """
        shared, self._shared = self._shared, None
        if shared is None:
            raise Refused("Password without key exchange")
        return in_child(lambda: decrypt(shared, data), SECONDS)


def decrypt(shared: int, data: bytes) -> bytes:
    """Return the plain text that `openssl enc -aes-128-cbc -nosalt` made *data* of, with *shared* as its pass phrase.

    Without trailing newlines. Older versions of openssl derive the key by MD5, newer ones by SHA-256; one time in 256
    the padding looks right by the wrong one, so a text that ends as a host's does is preferred. Raises Refused.
    """
    if not data or len(data) % BLOCK:
        raise Refused(INVALID)
    texts = [_unpad(crypto.decrypt(str(shared).encode(), digest, data)) for digest in ("md5", "sha256")]
    whole = [text for text in texts if text is not None]
    if not whole:
        raise Refused(INVALID)
    return next(filter(_is_usual, whole), whole[0]).rstrip(b"\n")


def _unpad(text: bytes) -> Optional[bytes]:
    size = text[-1]
    if not 1 <= size <= BLOCK or text[-size:] != bytes([size]) * size:
        return None
    return text[:-size]


def _is_usual(text: bytes) -> bool:
    try:
        return text.decode().endswith("\n")
    except UnicodeDecodeError:
        return False
