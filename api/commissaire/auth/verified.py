"""Credentials that were right, remembered for a while: a bcrypt check costs a quarter of a second."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time

from cryptography.hazmat.primitives.serialization import Encoding

from commissaire.auth.entry import User
from commissaire.auth.plugin import SignIn

_SIZE = 10_000


class VerifiedCredentials:
    """Whose credentials they are, by a keyed hash of them."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._secret = secrets.token_bytes(32)
        self._users: dict[bytes, tuple[float, User]] = {}
        self._lock = threading.Lock()

    def key(self, sign_in: SignIn) -> bytes | None:
        """Return the name under which these credentials are remembered; None when there are none."""
        headers = [sign_in.headers.get("authorization", ""), sign_in.headers.get("x-auth-token", "")]
        certificate = sign_in.certificate.public_bytes(Encoding.DER) if sign_in.certificate else b""
        if not any(headers) and not certificate:
            return None
        return hmac.digest(self._secret, "\0".join(headers).encode() + b"\0" + certificate, hashlib.sha256)

    def get(self, key: bytes | None) -> User | None:
        """Return whose credentials they are, if that is remembered."""
        expiry, user = self._users.get(key or b"", (0.0, None))
        return user if time.monotonic() < expiry else None

    def put(self, key: bytes, user: User) -> None:
        """Remember them."""
        with self._lock:
            if len(self._users) >= _SIZE:
                self._users.clear()
            self._users[key] = (time.monotonic() + self._seconds, user)
