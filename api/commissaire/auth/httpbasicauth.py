"""HTTP basic authentication (RFC 7617) against bcrypt hashes, from a file or the configuration."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import structlog

from commissaire.auth.basic import SECURITY, basic_credentials
from commissaire.auth.plugin import Identity, SignIn
from commissaire.auth.role import Role
from commissaire.configuration import SettingsError

log = structlog.get_logger(__name__)
_NOBODYS_HASH = b"$2b$12$FVoNlFSnWMQ0gjCuIsPY8OeL788oObDvRl/kfvxDgPoGzQu4cxnl2"
"""Compared with when the user is unknown, so that the time of a refusal does not tell who exists."""
_TURNS = threading.BoundedSemaphore(max(1, (os.cpu_count() or 1) - 1))
"""Bcrypt takes a processor for itself; one is left for requests whose credentials are known already."""


@dataclass(frozen=True)
class _User:
    hashed: bytes
    role: Role | None = None


_NOBODY = _User(_NOBODYS_HASH)


class HttpBasicAuth:
    """Users as `{"NAME": {"hash": "$2b$…", "role": "viewer"}}`, without a role as the plugin's entry says.

    They are *users*, or in the JSON file *filepath*, which is read again when it changes.
    """

    cacheable = True
    security = SECURITY

    def __init__(self, filepath: str | None = None, users: dict[str, Any] | None = None) -> None:
        if (filepath is None) == (users is None):
            raise SettingsError("httpbasicauth needs either filepath or users")
        self._path = Path(filepath) if filepath is not None else None
        self._seen: tuple[int, ...] = ()
        self._users = _users(users, "users") if users is not None else {}
        if self._path is not None:
            self._refresh(self._path)

    def authenticate(self, sign_in: SignIn) -> Identity | None:
        """See `Authenticator.authenticate`."""
        credentials = basic_credentials(sign_in.headers.get("authorization", ""))
        if credentials is None:
            return None
        if self._path is not None:
            try:
                self._refresh(self._path)
            except SettingsError as error:
                log.error("users_file_unusable", error=str(error))
        name, password = credentials
        user = self._users.get(name, _NOBODY)
        matches = _matches(password, user.hashed)
        return Identity(name, role=user.role) if matches and user is not _NOBODY else None

    def _refresh(self, path: Path) -> None:
        try:
            status = path.stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen != self._seen:
                self._users = _users(json.loads(path.read_text(encoding="utf-8")), str(path))
                self._seen = seen
        except (OSError, ValueError) as error:
            raise SettingsError(f"httpbasicauth can't read users from {path}: {error}") from error


PluginClass = HttpBasicAuth


def hash_password(password: str, rounds: int = 12) -> str:
    """Return the bcrypt hash of *password*.

    Raises:
        ValueError: the password is longer than bcrypt's 72 bytes.
    """
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds)).decode()


def _matches(password: str, hashed: bytes) -> bool:
    try:
        with _TURNS:
            return bcrypt.checkpw(password.encode(), hashed)
    except ValueError:  # longer than bcrypt's 72 bytes, or a hash that is none
        return False


def _users(users: object, where: str) -> dict[str, _User]:
    try:
        if not isinstance(users, dict):
            raise TypeError
        return {str(name): _user(entry) for name, entry in users.items()}
    except (TypeError, KeyError, ValueError) as error:
        roles = ", ".join(Role)
        raise SettingsError(
            f'{where} must look like {{"NAME": {{"hash": "$2b$…"}}}}; an entry may have a role: {roles}'
        ) from error


def _user(entry: Any) -> _User:
    role = entry.get("role") if isinstance(entry, dict) else None
    return _User(str(entry["hash"]).encode(), None if role is None else Role(role))
