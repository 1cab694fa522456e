"""HTTP basic authentication (RFC 7617) against bcrypt hashes, from a file or the configuration."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bcrypt
import structlog

from commissaire.settings import SettingsError

log = structlog.get_logger(__name__)
_NOBODY = b"$2b$12$FVoNlFSnWMQ0gjCuIsPY8OeL788oObDvRl/kfvxDgPoGzQu4cxnl2"
"""Compared with when the user is unknown, so that the time of a refusal does not tell who exists."""


class HttpBasicAuth:
    """Users as `{"NAME": {"hash": "$2b$…"}}`: *users*, or the JSON file *filepath*, read again when it changes."""

    cacheable = True

    def __init__(self, filepath: str | None = None, users: dict[str, Any] | None = None) -> None:
        if (filepath is None) == (users is None):
            raise SettingsError("httpbasicauth needs either filepath or users")
        self._path = Path(filepath) if filepath is not None else None
        self._seen: tuple[int, ...] = ()
        self._hashes = _hashes(users, "users") if users is not None else {}
        if self._path is not None:
            self._refresh(self._path)

    def authenticate(self, headers: Mapping[str, str]) -> str | None:
        """See `Authenticator.authenticate`."""
        credentials = basic_credentials(headers.get("authorization", ""))
        if credentials is None:
            return None
        if self._path is not None:
            try:
                self._refresh(self._path)
            except SettingsError as error:
                log.error("users_file_unusable", error=str(error))
        user, password = credentials
        matches = _matches(password, self._hashes.get(user, _NOBODY))
        return user if matches and user in self._hashes else None

    def _refresh(self, path: Path) -> None:
        try:
            status = path.stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen != self._seen:
                self._hashes = _hashes(json.loads(path.read_text(encoding="utf-8")), str(path))
                self._seen = seen
        except (OSError, ValueError) as error:
            raise SettingsError(f"httpbasicauth can't read users from {path}: {error}") from error


PluginClass = HttpBasicAuth


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


def hash_password(password: str, rounds: int = 12) -> str:
    """Return the bcrypt hash of *password*.

    Raises:
        ValueError: the password is longer than bcrypt's 72 bytes.
    """
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds)).decode()


def _matches(password: str, hashed: bytes) -> bool:
    try:
        return bcrypt.checkpw(password.encode(), hashed)
    except ValueError:  # longer than bcrypt's 72 bytes, or a hash that is none
        return False


def _hashes(users: object, where: str) -> dict[str, bytes]:
    try:
        if not isinstance(users, dict):
            raise TypeError
        return {str(name): str(entry["hash"]).encode() for name, entry in users.items()}
    except (TypeError, KeyError) as error:
        raise SettingsError(f'{where} must look like {{"NAME": {{"hash": "$2b$…"}}}}') from error
