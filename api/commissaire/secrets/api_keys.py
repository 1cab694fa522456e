"""API ids and their keys, for `/api/v0/secrets`. The rules, on a session that the caller commits."""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256

from sqlmodel import Session, col, select

from commissaire.fleet.errors import Conflict, Invalid, NotFound
from commissaire.records import ApiKey, SecretEntry
from commissaire.secrets.api_id import is_api_id
from commissaire.secrets.entries import secret_owner
from commissaire.secrets.store import SecretStore

_KEY_BYTES = 32
_NOBODY = bytes(32)


def create_api_key(session: Session, name: str, *, replace: bool = False) -> str:
    """Record an API id; return its key, which is shown this once.

    Raises:
        Invalid: the name can't be one.
        Conflict: it has a key, and *replace* was not asked for.
    """
    if not is_api_id(name):
        raise Invalid(f"{name!r} is no API id: 1 to 64 letters, digits, - _ and, after the first one, dots")
    recorded = session.get(ApiKey, name)
    if recorded is not None and not replace:
        raise Conflict(f"API id {name} has a key already; --replace gives it another one")
    key = secrets.token_urlsafe(_KEY_BYTES)
    session.merge(ApiKey(name=name, key_hash=_hash(key)))
    return key


def delete_api_key(session: Session, store: SecretStore, name: str) -> int:
    """Forget an API id and everything that it keeps; return how many secrets that were.

    Raises:
        NotFound: there is none of that name.
    """
    recorded = session.get(ApiKey, name)
    if recorded is None:
        raise NotFound(f"there is no API id {name}; commissaire-secrets key list shows them")
    session.delete(recorded)
    entries = session.exec(select(SecretEntry).where(SecretEntry.api_id == name)).all()
    for entry in entries:
        store.forget(session, secret_owner(entry))
        session.delete(entry)
    return sum(not entry.path.endswith("/") for entry in entries)


def list_api_ids(session: Session) -> list[str]:
    """Return all API ids, sorted."""
    return list(session.exec(select(ApiKey.name).order_by(col(ApiKey.name))))


def is_api_key(session: Session, name: str, key: str) -> bool:
    """Tell whether *key* belongs to the API id *name*; as slow for a name that does not exist."""
    recorded = session.get(ApiKey, name) if is_api_id(name) else None
    matches = hmac.compare_digest(recorded.key_hash if recorded else _NOBODY, _hash(key))
    return matches and recorded is not None


def _hash(key: str) -> bytes:
    return sha256(key.encode()).digest()
